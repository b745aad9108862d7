-- ARGV: worker, then pairs of a model and how many of its jobs the worker has room for. Returns the
-- seconds until something may fall due ('' if nothing will), the last id of each model's bell, and
-- the leases as {fence, entry, fields of the job}.
local worker = ARGV[A + 1]
local ENDED_PER_CALL, TURNS_PER_AGED = 64, 3
local t = now()
local taken, ended = {}, 0
insist()
tidy(t)

local function start(id, job)
  redis.call('ZREM', REQUEUED .. job.model, id)
  redis.call('ZREM', DEADLINES, id)
  redis.call('ZADD', LEASES .. job.model, stamp(t + LEASE_S), id)
  redis.call('HINCRBY', JOB .. id, 'attempt', 1)
  local fence = redis.call('HINCRBY', JOB .. id, 'fence', 1)
  redis.call('HSET', JOB .. id, 'state', 'running', 'started_at', stamp(t), 'worker', worker,
    'progress', '{"stage":"starting"}')
  emit(id, 'state', {state = 'running'})
  taken[#taken + 1] = {fence, job.entry, redis.call('HGETALL', JOB .. id)}
  return 1
end

-- The stream's list of pending entries follows the job, for those who look at it from outside.
local function follow(job)
  local key = stream(job.model, job.priority)
  redis.pcall('XCLAIM', key, GROUP, worker, 0, job.entry, 'JUSTID')
end

local function due(key)
  return redis.call('ZRANGEBYSCORE', key, '-inf', stamp(t), 'LIMIT', 0, 1)[1]
end

-- Each of the next three deals with one job of a model: started is 1, ended or dropped is 0, and
-- nil says that there was none.

-- Jobs whose worker is dead or stuck.
local function take_lost(model)
  local id = due(LEASES .. model)
  if not id then
    return nil
  end
  local job = read(id)
  if not job or job.state ~= 'running' then
    redis.call('ZREM', LEASES .. model, id)
    return 0
  elseif settle_lost(id, job, t) then
    ended = ended + 1
    return 0
  end
  follow(job)
  return start(id, job)
end

-- Jobs that a worker gave back.
local function take_requeued(model)
  local id = due(REQUEUED .. model)
  if not id then
    return nil
  end
  local job = read(id)
  if not job or job.state ~= 'queued' then
    redis.call('ZREM', REQUEUED .. model, id)
    return 0
  elseif past(job, t) then
    finalise(id, job, 'expired', t)
    ended = ended + 1
    return 0
  end
  follow(job)
  return start(id, job)
end

-- New jobs: by priority, but of every four picks one goes to the oldest job that has waited
-- longer than AGEING_S, if there is one. So `low` is never starved, and a long backlog of old
-- `low` jobs cannot hold up `high` ones either.
local function pick(model)
  local first, oldest, oldest_since
  for _, priority in ipairs(PRIORITIES) do
    local head = redis.call('ZRANGE', waiting(model, priority), 0, 0, 'WITHSCORES')
    if #head > 0 then
      first = first or priority
      local since = tonumber(head[2])
      if since + AGEING_S <= t and (oldest_since == nil or since < oldest_since) then
        oldest, oldest_since = priority, since
      end
    end
  end
  if oldest and oldest ~= first then
    if tonumber(redis.call('GET', TURNS .. model) or TURNS_PER_AGED) >= TURNS_PER_AGED then
      redis.call('SET', TURNS .. model, 0)
      return oldest
    end
    redis.call('INCR', TURNS .. model)
  end
  return first
end

local function take_new(model)
  local priority = pick(model)
  if not priority then
    return nil
  end
  local key, index = stream(model, priority), waiting(model, priority)
  local answer = redis.pcall('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', 1, 'STREAMS', key, '>')
  if not answer or answer.err then
    -- Someone trimmed or removed the stream by hand: the index still knows its jobs.
    for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
      redis.call('ZREM', index, id)
      redis.call('ZADD', REQUEUED .. model, stamp(t), id)
    end
    return 0
  end
  local entry, fields = answer[1][2][1][1], answer[1][2][1][2]
  local id = fields[2]
  local job = read(id)
  redis.call('ZREM', index, id)
  if not job or job.state ~= 'queued' or job.entry ~= entry then
    redis.call('XACK', key, GROUP, entry)
    redis.call('XDEL', key, entry)
    return 0
  elseif past(job, t) then
    finalise(id, job, 'expired', t)
    ended = ended + 1
    return 0
  end
  return start(id, job)
end

-- One job of each model in turn, so that a long queue does not hold up the others.
local models, room = {}, {}
for i = A + 2, #ARGV, 2 do
  models[#models + 1] = ARGV[i]
  room[ARGV[i]] = tonumber(ARGV[i + 1])
end
local turn, passed = 0, 0
while passed < #models and ended < ENDED_PER_CALL do
  turn = turn % #models + 1
  local model = models[turn]
  local took = room[model] > 0 and (take_lost(model) or take_requeued(model) or take_new(model))
  if took then
    room[model] = room[model] - took
    passed = 0
  else
    passed = passed + 1
  end
end

local next_due = ended >= ENDED_PER_CALL and 0 or nil
local bells = {}
for i, model in ipairs(models) do
  for _, key in ipairs({LEASES .. model, REQUEUED .. model}) do
    local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if #head > 0 then
      next_due = math.min(next_due or math.huge, math.max(tonumber(head[2]) - t, 0))
    end
  end
  local rung = redis.call('XREVRANGE', BELL .. model, '+', '-', 'COUNT', 1)
  bells[i] = rung[1] and rung[1][1] or '0-0'
end
return {next_due and stamp(next_due) or '', bells, taken}
