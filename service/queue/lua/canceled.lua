-- ARGV: id, fence
local id, fence = ARGV[A + 1], ARGV[A + 2]
local job = read(id)
if repeated(job, fence, 'canceled') then
  return {'ok'}
end
if not owned(job, fence) then
  return {'stale'}
end
insist()
finalise(id, job, 'canceled', now())
return {'ok'}
