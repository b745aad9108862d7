-- ARGV: pairs of id, fence. Returns per pair {owned, cancel requested, deadline passed} as 0 or 1.
local t = now()
local answer = {}
insist()
for i = A + 1, #ARGV, 2 do
  local id = ARGV[i]
  local job = read(id)
  if owned(job, ARGV[i + 1]) then
    redis.call('ZADD', LEASES .. job.model, stamp(t + LEASE_S), id)
    answer[#answer + 1] = {1, tonumber(job.cancel or 0), past(job, t) and 1 or 0}
  else
    answer[#answer + 1] = {0, 0, 0}
  end
end
return answer
