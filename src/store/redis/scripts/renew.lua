-- Only if the lease is still this holder's.
local lease, holder, lasts = KEYS[1], ARGV[1], ARGV[2]
if redis.call('GET', lease) ~= holder then
  return 0
end
return redis.call('PEXPIRE', lease, lasts)
