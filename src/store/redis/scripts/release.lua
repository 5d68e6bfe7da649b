-- Only if the lease is still this holder's; and whoever waits for it is told.
local lease, token = KEYS[1], KEYS[2]
local holder, channel = ARGV[1], ARGV[2]
if redis.call('GET', lease) ~= holder then
  return 0
end
local generation = redis.call('HGET', token, 'generation') or ''
redis.call('DEL', lease)
-- Not to be allowed to tell anybody is no failure: the others look by themselves from time to time.
redis.pcall('PUBLISH', channel, generation)
return 1
