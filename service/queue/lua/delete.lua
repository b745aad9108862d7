-- ARGV: id
local id = ARGV[A + 1]
local job = read(id)
if not job then
  return absent(id)
end
if not final(job) then
  return {'active', job.state}
end
local answer = reply(id)
redis.call('DEL', JOB .. id, EVENTS .. id, GONE .. id)
redis.call('ZREM', OWNER .. job.owner, id)
redis.call('ZREM', RETAINED, id .. ' ' .. job.owner)
return answer
