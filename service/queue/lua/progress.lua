-- ARGV: id, fence, progress
local id, fence, progress = ARGV[A + 1], ARGV[A + 2], ARGV[A + 3]
if not owned(read(id), fence) then
  return {'stale'}
end
insist()
redis.call('HSET', JOB .. id, 'progress', progress)
emit(id, 'progress', cjson.decode(progress))
return {'ok'}
