-- ARGV: worker, limit. Returns the bell's last id, the seconds until something may fall due
-- ('' if nothing will), and the leases as {fence, entry, fields of the job}.
local worker, limit = ARGV[A + 1], tonumber(ARGV[A + 2])
local ENDED_PER_CALL, TURNS_PER_AGED = 64, 3
local t = now()
local taken, ended = {}, 0
insist()
tidy(t)

local function start(id, job)
  redis.call('ZREM', REQUEUED, id)
  redis.call('ZREM', DEADLINES, id)
  redis.call('ZADD', LEASES, stamp(t + LEASE_S), id)
  redis.call('HINCRBY', JOB .. id, 'attempt', 1)
  local fence = redis.call('HINCRBY', JOB .. id, 'fence', 1)
  redis.call('HSET', JOB .. id, 'state', 'running', 'started_at', stamp(t), 'worker', worker,
    'progress', '{"stage":"starting"}')
  emit(id, 'state', {state = 'running'})
  taken[#taken + 1] = {fence, job.entry, redis.call('HGETALL', JOB .. id)}
end

-- The stream's list of pending entries follows the job, for those who look at it from outside.
local function follow(job)
  redis.pcall('XCLAIM', STREAM[job.priority], GROUP, worker, 0, job.entry, 'JUSTID')
end

-- 1. Jobs whose worker is dead or stuck.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', stamp(t))) do
  if #taken >= limit or ended >= ENDED_PER_CALL then break end
  local job = read(id)
  if not job or job.state ~= 'running' then
    redis.call('ZREM', LEASES, id)
  elseif settle_lost(id, job, t) then
    ended = ended + 1
  else
    follow(job)
    start(id, job)
  end
end

-- 2. Jobs that a worker gave back.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', REQUEUED, '-inf', stamp(t))) do
  if #taken >= limit or ended >= ENDED_PER_CALL then break end
  local job = read(id)
  if not job or job.state ~= 'queued' then
    redis.call('ZREM', REQUEUED, id)
  elseif past(job, t) then
    finalise(id, job, 'expired', t)
    ended = ended + 1
  else
    follow(job)
    start(id, job)
  end
end

-- 3. New jobs: by priority, but of every four picks one goes to the oldest job that has waited
-- longer than AGEING_S, if there is one. So `low` is never starved, and a long backlog of old
-- `low` jobs cannot hold up `high` ones either.
local function pick()
  local first, oldest, oldest_since
  for _, priority in ipairs(PRIORITIES) do
    local head = redis.call('ZRANGE', WAITING[priority], 0, 0, 'WITHSCORES')
    if #head > 0 then
      first = first or priority
      local since = tonumber(head[2])
      if since + AGEING_S <= t and (oldest_since == nil or since < oldest_since) then
        oldest, oldest_since = priority, since
      end
    end
  end
  if oldest and oldest ~= first then
    if tonumber(redis.call('GET', TURNS) or TURNS_PER_AGED) >= TURNS_PER_AGED then
      redis.call('SET', TURNS, 0)
      return oldest
    end
    redis.call('INCR', TURNS)
  end
  return first
end

while #taken < limit and ended < ENDED_PER_CALL do
  local priority = pick()
  if not priority then break end
  local answer = redis.pcall('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', 1,
    'STREAMS', STREAM[priority], '>')
  if not answer or answer.err then
    -- Someone trimmed or removed the stream by hand: the index still knows its jobs.
    for _, id in ipairs(redis.call('ZRANGE', WAITING[priority], 0, -1)) do
      redis.call('ZREM', WAITING[priority], id)
      redis.call('ZADD', REQUEUED, stamp(t), id)
    end
    ended = ENDED_PER_CALL
    break
  end
  local entry, fields = answer[1][2][1][1], answer[1][2][1][2]
  local id = fields[2]
  local job = read(id)
  redis.call('ZREM', WAITING[priority], id)
  if not job or job.state ~= 'queued' or job.entry ~= entry then
    redis.call('XACK', STREAM[priority], GROUP, entry)
    redis.call('XDEL', STREAM[priority], entry)
  elseif past(job, t) then
    finalise(id, job, 'expired', t)
    ended = ended + 1
  else
    start(id, job)
  end
end

local due = ''
if ended >= ENDED_PER_CALL then
  due = '0'
else
  for _, key in ipairs({LEASES, REQUEUED}) do
    local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if #head > 0 then
      local seconds = math.max(tonumber(head[2]) - t, 0)
      if due == '' or seconds < tonumber(due) then
        due = stamp(seconds)
      end
    end
  end
end
local rung = redis.call('XREVRANGE', BELL, '+', '-', 'COUNT', 1)
return {rung[1] and rung[1][1] or '0-0', due, taken}
