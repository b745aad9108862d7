-- ARGV: owner, state or '', highest order or '+inf', limit. Returns {order of the last one
-- seen if there are more, else '', jobs...}.
-- Looks at SEEN_PER_CALL jobs at most: a page may be short and still have a next one.
local owner, state, from, limit = ARGV[A + 1], ARGV[A + 2], ARGV[A + 3], tonumber(ARGV[A + 4])
local SEEN_PER_CALL = 1000
insist()
tidy(now())
local answer = {''}
local seen, last = 0, from
while true do
  local rows = redis.call('ZREVRANGEBYSCORE', OWNER .. owner, from, '-inf', 'WITHSCORES',
    'LIMIT', 0, 50)
  if #rows == 0 then
    return answer
  end
  for i = 1, #rows, 2 do
    if #answer > limit or seen >= SEEN_PER_CALL then
      answer[1] = last
      return answer
    end
    local has = redis.call('HGET', JOB .. rows[i], 'state')
    if has and (state == '' or has == state) then
      answer[#answer + 1] = redis.call('HGETALL', JOB .. rows[i])
    end
    last = rows[i + 1]
    from = '(' .. last
    seen = seen + 1
  end
end
