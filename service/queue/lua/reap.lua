-- ARGV: limit. Returns ids of jobs past their retention, whose files can go; each id once.
local limit = tonumber(ARGV[A + 1])
insist()
local t = now()
for _ = 1, math.ceil(limit / 8) do
  tidy(t)
end
return redis.call('LPOP', REAPABLE, limit) or {}
