-- ARGV: id, fence, error, retryable as 0 or 1
local id, fence, error, retryable = ARGV[A + 1], ARGV[A + 2], ARGV[A + 3], ARGV[A + 4] == '1'
local job = read(id)
if repeated(job, fence, 'failed') or repeated(job, fence, 'queued')
  or repeated(job, fence, 'canceled') then
  return {'ok'}
end
if not owned(job, fence) then
  return {'stale'}
end

-- What one worker cannot load, it does not try again: the job waits only for one that may have it.
local function another_serves()
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', WORKERS, stamp(now() - WORKER_TTL_S), '+inf')) do
    local said = worker ~= job.worker and redis.call('GET', WORKER .. worker)
    for _, model in ipairs(said and cjson.decode(said).models or {}) do
      if model == job.model then
        return true
      end
    end
  end
  return false
end

if cjson.decode(error).code == 'model_load_failed' then
  retryable = retryable and another_serves()
end
local t = now()
local attempt = tonumber(job.attempt)
insist()
if job.cancel == '1' then
  finalise(id, job, 'canceled', t)
elseif retryable and attempt < MAX_ATTEMPTS and not past(job, t) then
  local delay_s = math.min(RETRY_DELAY_S * 2 ^ (attempt - 1), 30)
  requeue(id, job, t, delay_s, {'last_error', error})
else
  finalise(id, job, 'failed', t, {'error', error})
end
return {'ok'}
