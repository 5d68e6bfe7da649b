-- The lease and its fencing token, together: drawn apart, a process that stalls in between would hold a larger number
-- than whoever took the lease after it.
-- Numbers stay decimal strings: a Lua number is exact up to 2^53 only, and prints with an exponent.
local token, lease, counter = KEYS[1], KEYS[2], KEYS[3]
local owner, lasts, above, kept = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local left = redis.call('PTTL', lease)
if left ~= -2 then
  return {'', left}
end

local function larger(a, b)
  if #a ~= #b then
    return #a > #b and a or b
  end
  return a > b and a or b
end

-- The time is among them for a server that has lost its memory.
local time = redis.call('TIME')
local last = time[1] .. string.format('%03d', math.floor(time[2] / 1000))
last = larger(last, above)
last = larger(last, redis.call('GET', counter) or '')
last = larger(last, redis.call('HGET', token, 'fence') or '')
local largest = '9223372036854775806'
if larger(last, largest) ~= largest then
  return redis.error_reply('EXHAUSTED there is no larger fencing token')
end

redis.call('SET', counter, last, 'PX', kept)
redis.call('INCR', counter)
local fence = redis.call('GET', counter)
redis.call('SET', lease, owner .. ':' .. fence, 'PX', lasts)
return {fence, 0}
