-- Compare and swap: what is stored must be the expected state, and not of a later lease than this one.
local token = KEYS[1]
local expected, holder = ARGV[1], ARGV[2]
local generation, fence, revision, value = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local ends, kept, channel = ARGV[7], ARGV[8], ARGV[9]

local held = ''
if redis.call('EXISTS', token) == 1 then
  local fields = redis.call('HMGET', token, 'generation', 'fence', 'revision')
  held = (fields[1] or '') .. '/' .. (fields[2] or '') .. '/' .. (fields[3] or '0')
  local writer = fields[2] or ''
  if #writer > #holder or (#writer == #holder and writer > holder) then
    return 0
  end
end
if held ~= expected then
  return 0
end

-- What a script has done stays done when its next call is refused: so before the old set goes, it is asked whether the new
-- one may come.
if redis.acl_check_cmd and not redis.acl_check_cmd('HSET', token, 'generation', generation) then
  return redis.error_reply('NOPERM this user may not write what is stored')
end

-- A server that is out of memory refuses a script's first write only where that needs some, and a token set that was
-- granted must not be lost: this one needs none.
redis.call('DEL', token)
redis.call('HSET', token, 'generation', generation, 'fence', fence, 'revision', revision, 'value', value)
if ends ~= '' then
  -- By the server's clock, and never so soon that it would be gone at once.
  local time = redis.call('TIME')
  local least = time[1] * 1000 + math.floor(time[2] / 1000) + kept
  redis.call('PEXPIREAT', token, string.format('%.0f', math.max(ends, least)))
end
-- Not to be allowed to tell anybody is no failure: the others look by themselves from time to time.
redis.pcall('PUBLISH', channel, generation)
return 1
