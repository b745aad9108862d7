-- Comes before every script. KEYS is the same list for all of them, in the order of keys.py;
-- ARGV starts with the same limits for all of them, in the order of scripts.py.
local MODELS, DEADLINES, RETAINED, REAPABLE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local WORKERS, ORDER = KEYS[5], KEYS[6]
local STREAM, WAITING, REQUEUED, LEASES = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local PACE, TURNS, BELL = KEYS[11], KEYS[12], KEYS[13]
local JOB, EVENTS, GONE = KEYS[14], KEYS[15], KEYS[16]
local IDEMPOTENCY, OWNER, WORKER = KEYS[17], KEYS[18], KEYS[19]
local PRIORITIES = {'high', 'normal', 'low'}
local GROUP = 'workers'

local MAX_WAITING, MAX_ATTEMPTS = tonumber(ARGV[1]), tonumber(ARGV[2])
local LEASE_S, RETENTION_S, IDEMPOTENCY_S = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local GONE_S, WORKER_TTL_S, EVENTS_KEPT = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local AGEING_S, RETRY_DELAY_S = tonumber(ARGV[9]), tonumber(ARGV[10])
local A = 10 -- the script's own arguments start after these

local function stream(model, priority)
  return STREAM .. model .. ':' .. priority
end

local function waiting(model, priority)
  return WAITING .. model .. ':' .. priority
end

local function count_waiting(model)
  local count = redis.call('ZCARD', REQUEUED .. model)
  for _, priority in ipairs(PRIORITIES) do
    count = count + redis.call('ZCARD', waiting(model, priority))
  end
  return count
end

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function stamp(seconds)
  return string.format('%.6f', seconds)
end

local function ms(seconds)
  return string.format('%.0f', seconds * 1000)
end

-- A server that is out of memory refuses a script's first growing write, and none after a first
-- write of any other kind. Transitions of accepted jobs begin with this one: they must go through,
-- they are what frees memory. Submit does not, and is refused before it has written anything.
local function insist()
  redis.call('ZREM', DEADLINES, '')
end

local function read(id)
  local flat = redis.call('HGETALL', JOB .. id)
  if #flat == 0 then
    return nil
  end
  local job = {}
  for i = 1, #flat, 2 do
    job[flat[i]] = flat[i + 1]
  end
  -- Written when all models shared one queue: such a job can end, and must not stop housekeeping.
  job.model = job.model or cjson.decode(job.request).model
  return job
end

local function reply(id)
  return {'ok', redis.call('HGETALL', JOB .. id)}
end

local function absent(id)
  if redis.call('EXISTS', GONE .. id) == 1 then
    return {'gone'}
  end
  return {'missing'}
end

local function final(job)
  return job.state ~= 'queued' and job.state ~= 'running'
end

local function owned(job, fence)
  return job and job.state == 'running' and job.fence == fence
end

-- True when this very call has been carried out before and only its answer was lost.
local function repeated(job, fence, state)
  return job and job.state == state and job.fence == fence
end

local function past(job, t)
  return job.deadline_at ~= nil and tonumber(job.deadline_at) <= t
end

local function emit(id, kind, data)
  redis.call('XADD', EVENTS .. id, 'MAXLEN', '~', EVENTS_KEPT, '*',
    'kind', kind, 'data', cjson.encode(data))
  redis.call('PUBLISH', EVENTS .. id, kind)
end

local function ring(model)
  redis.call('XADD', BELL .. model, 'MAXLEN', 1, '*', 'r', '1')
end

-- The last thing that happens to a job. `fields` are further hash fields, as a flat list.
local function finalise(id, job, state, t, fields)
  redis.call('ZREM', LEASES .. job.model, id)
  redis.call('ZREM', REQUEUED .. job.model, id)
  redis.call('ZREM', waiting(job.model, job.priority), id)
  redis.call('ZREM', DEADLINES, id)
  redis.call('XACK', stream(job.model, job.priority), GROUP, job.entry)
  redis.call('XDEL', stream(job.model, job.priority), job.entry)
  redis.call('HSET', JOB .. id, 'state', state, 'finished_at', stamp(t),
    'expires_at', stamp(t + RETENTION_S), unpack(fields or {}))
  emit(id, 'state', {state = state})
  emit(id, 'done', {state = state})
  redis.call('PEXPIRE', JOB .. id, ms(RETENTION_S))
  redis.call('PEXPIRE', EVENTS .. id, ms(RETENTION_S))
  redis.call('SET', GONE .. id, '1', 'PX', ms(RETENTION_S + GONE_S))
  redis.call('ZADD', RETAINED, stamp(t + RETENTION_S), id .. ' ' .. job.owner)
end

local function fail(id, job, t, code, detail, hint)
  local error = {code = code, detail = detail, retryable = false, hint = hint}
  finalise(id, job, 'failed', t, {'error', cjson.encode(error)})
end

local function fail_late(id, job, t)
  fail(id, job, t, 'deadline_exceeded', 'The deadline passed before the job was finished.',
    'Set a longer deadline_s, or fewer steps.')
end

-- Back among the waiting, ahead of all that no worker has had yet.
local function requeue(id, job, t, delay_s, fields)
  redis.call('ZREM', LEASES .. job.model, id)
  redis.call('HDEL', JOB .. id, 'started_at', 'worker')
  redis.call('HSET', JOB .. id, 'state', 'queued', 'progress', '{}', unpack(fields))
  redis.call('ZADD', REQUEUED .. job.model, stamp(t + delay_s), id)
  if job.deadline_at then
    redis.call('ZADD', DEADLINES, job.deadline_at, id)
  end
  emit(id, 'state', {state = 'queued'})
  ring(job.model)
end

-- Ends a running job whose lease is over, when it must not run again; says whether it did.
local function settle_lost(id, job, t)
  if job.cancel == '1' then
    finalise(id, job, 'canceled', t)
  elseif past(job, t) then
    fail_late(id, job, t)
  elseif tonumber(job.attempt) >= MAX_ATTEMPTS then
    local detail = 'The worker stopped answering in each of ' .. job.attempt .. ' attempts.'
    if job.last_error then
      local cause = cjson.decode(job.last_error)
      detail = 'The worker stopped answering in attempt ' .. job.attempt
        .. '; before that: ' .. cause.code .. ': ' .. cause.detail
    end
    fail(id, job, t, 'worker_lost', detail,
      'The picture may be what stops the worker: try another one or other parameters.')
  else
    return false
  end
  return true
end

-- Housekeeping, a bounded amount per call: queued jobs past their deadline expire, and ids of
-- final jobs past their retention leave the index.
local function tidy(t)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', stamp(t), 'LIMIT', 0, 32)) do
    local job = read(id)
    if job and job.state == 'queued' then
      finalise(id, job, 'expired', t)
    end
    redis.call('ZREM', DEADLINES, id)
  end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', RETAINED, '-inf', stamp(t), 'LIMIT', 0, 8)) do
    local id, owner = string.match(member, '^(%S+) (.*)$')
    redis.call('ZREM', RETAINED, member)
    redis.call('ZREM', OWNER .. owner, id)
    redis.call('RPUSH', REAPABLE, id)
    redis.call('LTRIM', REAPABLE, -100000, -1)
  end
end
