"""The steps that Redis takes as one, in Lua; `docs/cache.md` says which race each of them closes.

Every record has three keys: itself, its lease, and its marks. A script is given them in that order.
Scripts use `pcall` where a key may hold a foreign value of another type, and where Redis, being
full, may refuse to write: neither may fail a request.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError

_SHARED = """
-- Which Redis this is, and since when it decides: another one after a restart (run_id) and after a
-- failover (master_replid changes with each promotion), whatever data it came back with.
local function identity()
  local server, replication = redis.call('INFO', 'server'), redis.call('INFO', 'replication')
  return server:match('run_id:(%x+)') .. replication:match('master_replid:(%x+)')
end

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function failed(reply)
  return type(reply) == 'table' and reply.err ~= nil
end
"""


class Script(NamedTuple):
    text: str
    sha: str

    @classmethod
    def of(cls, body: str) -> "Script":
        text = _SHARED + body
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    def run(self, execute: Callable[..., Any], keys: list[str], *arguments: Any) -> Any:
        """Run it, sending its text only to a Redis that doesn't know it yet."""
        try:
            return execute("EVALSHA", self.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return execute("EVAL", self.text, len(keys), *keys, *arguments)


# A stored record: identity, 13 digits of milliseconds when it was filled, then its content.
LOOK = Script.of("""
local ttl, token, lease_ms = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local here, now = identity(), milliseconds()

local record = redis.pcall('GET', KEYS[1])
if type(record) == 'string' and record:sub(1, #here) == here then
  local age = now - (tonumber(record:sub(#here + 1, #here + 13)) or 0)
  if age >= 0 and age < ttl then
    return {'hit', record:sub(#here + 14), age}
  end
end

local marks = redis.pcall('ZCOUNT', KEYS[3], now, '+inf')
if type(marks) == 'number' and marks > 0 then
  return {'changing', ''}
end

-- A lease stands until somebody deletes it. All who miss meanwhile share it: whoever is given the
-- same lease twice knows that nothing was voided in between.
local lease = redis.pcall('GET', KEYS[2])
if type(lease) ~= 'string' or lease:sub(1, #here) ~= here then
  lease = here .. token
  if failed(redis.pcall('SET', KEYS[2], lease, 'PX', lease_ms)) then
    return {'full', ''}
  end
end
return {'miss', lease}
""")

# No mark can be live here: whoever sets one deletes the lease, and none is given while one is live.
FILL = Script.of("""
local lease, content, kept_ms = ARGV[1], ARGV[2], ARGV[3]
local here = identity()
if redis.pcall('GET', KEYS[2]) ~= lease or lease:sub(1, #here) ~= here then
  return 'refused'
end
local record = here .. string.format('%013.0f', milliseconds()) .. content
return failed(redis.pcall('SET', KEYS[1], record, 'PX', kept_ms)) and 'full' or 'filled'
""")

# Begins with DEL, which a full Redis still does; then it lets the script go on with writing.
BEGIN = Script.of("""
local writer, mark_ms = ARGV[1], tonumber(ARGV[2])
local now = milliseconds()
for i = 1, #KEYS, 3 do
  local marks = KEYS[i + 2]
  redis.call('DEL', KEYS[i], KEYS[i + 1])
  if failed(redis.pcall('ZREMRANGEBYSCORE', marks, '-inf', now)) then
    redis.call('DEL', marks)
  end
  redis.call('ZADD', marks, now + mark_ms, writer)
  redis.call('PEXPIRE', marks, mark_ms)
end
return 'begun'
""")

# A quota that comes back evenly, kept as one number: when all of it will be there again (the
# Generic Cell Rate Algorithm of ITU-T I.371). Who wants many at once is given at most an eighth of
# what there is, so that nobody holds what others lack. A full Redis can't count.
TAKE = Script.of("""
local wanted, quota, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now, each = milliseconds(), window / quota
local full_at = tonumber(redis.pcall('GET', KEYS[1])) or 0
if full_at > now + 2 * window then
  full_at = 0  -- what stands there is no time of ours, or the clock was set back
end
full_at = math.min(math.max(now, full_at), now + window)

local available = math.floor((now + window - full_at) / each + 0.001)
local granted = math.min(wanted, math.max(math.floor(available / 8), math.min(available, 1)))
if granted > 0 then
  full_at = full_at + granted * each
  local kept_ms, number = math.ceil(full_at - now), string.format('%.6f', full_at)
  if failed(redis.pcall('SET', KEYS[1], number, 'PX', kept_ms)) then
    return {-1, 0}
  end
end
return {granted, available - granted}
""")

END = Script.of("""
local writer = ARGV[1]
for i = 1, #KEYS, 3 do
  redis.call('DEL', KEYS[i], KEYS[i + 1])
  redis.pcall('ZREM', KEYS[i + 2], writer)
end
return 'ended'
""")
