-- Where everything lies, and the packed record of one member.
--
-- Keys: ge:{<workspace>.<campaign>}:<epoch>:<kind>:<bucket>; one hash tag, so one slot, per campaign.
--   <0>:book:0      hash: live, building (epochs), next (last epoch given out), r<epoch> (to be deleted)
--   meta:0          string: counters of the book and the state of its board, packed (see META)
--   rec:<bucket>    string of PER_BUCKET records, preallocated: growing it would double its memory
--   board:0         zset of the best members: score = -score, member = number, big-endian
--   shadow:0        zset: the next board while it is being gathered (see board.lua)
--   hist:0          hash: score -> how many ranked members have it
--   funnel:0  cohort:0  invites:0      hashes of counters
--   balance:<bucket>   hash of some owners' accounts: account:currency:owner -> balance (see money.lua)
--   branch:<bucket>    hash of PER_BRANCH members: number -> sales below them
--   balance_map:0  branch_map:0        bitmaps: which of those buckets the book has ever used
--   earned:0        zset of everybody who has earned: score = -earned, member = number, big-endian
--
-- A library's locals outlive a call, so nothing at file level may ever hold state of a book.

-- The server's libraries exist only while a function runs: `register` sets these names then.
local call, pack, unpack_struct, floor, sub, format

local LAYOUT = '<I4I4I4I4I4I4I4'
local RECORD = 28
local PER_BUCKET = 585 -- 16,380 bytes: with its header just inside a 16 KiB allocation
local PARENT, LEVEL1, LEVEL2, SCORE, FLAGS, NEXT, FIRST = 1, 2, 3, 4, 5, 6, 7
local LEFT, BLOCKED = 1, 2 -- bits of FLAGS
local MAX_U32 = 4294967295
local MAX_SCORE = 2147483647
local MAX_COUNT = 9007199254740991 -- 2^53 - 1: beyond it Lua's numbers skip integers

-- Packed as doubles in this order: one GET costs a tenth of an HMGET of fifteen fields.
local META_LAYOUT = '<ddddddddddddddd'
local META = {
  'seq', 'members', 'active', 'blocked', 'score_sum', 'ranked',
  'floor_s', 'floor_n', 'size',
  'scan_cursor', 'scan_limit', 'scan_step', 'scan_floor_s', 'scan_floor_n', 'scan_size',
}

local function register(name, body, flags)
  redis.register_function{
    function_name = LIBRARY .. '_' .. name,
    flags = flags,
    callback = function(keys, args)
      call, pack, unpack_struct = redis.call, struct.pack, struct.unpack
      floor, sub, format = math.floor, string.sub, string.format
      return body(keys, args)
    end,
  }
end

local function refuse(why) error(why, 0) end

local function whole(value, low, high, name)
  if type(value) ~= 'number' or value % 1 ~= 0 or value < low or value > high then
    refuse(name .. ' must be a whole number from ' .. format('%.0f', low) .. ' to ' .. format('%.0f', high))
  end
  return value
end

local function is_left(flags) return flags % 2 >= 1 end
local function is_blocked(flags) return flags % 4 >= 2 end

-- What a member counts for in ranks; 0 means not ranked.
local function ranked_score(score, flags)
  if is_blocked(flags) then return 0 end
  return score
end

-- 'ge:{…}:0:book:0' -> 'ge:{…}:'
local function tag_of(book_key) return sub(book_key, 1, -9) end

local function base_of(book_key, epoch) return tag_of(book_key) .. epoch .. ':' end

-- Base of the live epoch's keys, or nil for a book the mirror does not hold.
local function live_base(book_key)
  local epoch = call('HGET', book_key, 'live')
  if not epoch then return nil end
  return base_of(book_key, epoch)
end

local function place_of(base, n)
  local bucket = floor((n - 1) / PER_BUCKET)
  return base .. 'rec:' .. bucket, (n - 1 - bucket * PER_BUCKET) * RECORD
end

local function raw_at(key, offset, n)
  local raw = call('GETRANGE', key, offset, offset + RECORD - 1)
  if #raw ~= RECORD then error('GEBROKEN record ' .. n .. ' is missing; rebuild this book', 0) end
  return raw
end

-- One number of the record of member n, who must exist.
local function field_of(base, n, field)
  local key, offset = place_of(base, n)
  offset = offset + (field - 1) * 4
  local raw = call('GETRANGE', key, offset, offset + 3)
  if #raw ~= 4 then error('GEBROKEN record ' .. n .. ' is missing; rebuild this book', 0) end
  return (unpack_struct('<I4', raw))
end

-- The 28 bytes of member n, who must exist.
local function raw_record(base, n)
  local key, offset = place_of(base, n)
  return raw_at(key, offset, n)
end

local function number_name(n) return pack('>I4', n) end
local function name_number(name) return (unpack_struct('>I4', name)) end

-- {name = number} of every counter in meta; absent ones are 0.
local function read_meta(base)
  local raw = call('GET', base .. 'meta:0')
  local meta = {}
  local values = raw and {unpack_struct(META_LAYOUT, raw)}
  for i = 1, #META do meta[META[i]] = values and values[i] or 0 end
  return meta
end

local function write_meta(base, meta)
  local values = {}
  for i = 1, #META do values[i] = meta[META[i]] or 0 end
  call('SET', base .. 'meta:0', pack(META_LAYOUT, unpack(values)))
end

-- Lua's unpack overflows its stack on long lists, so lists leave as one packed string, by pieces.
local function pack_numbers(numbers)
  local out = {}
  for i = 1, #numbers do out[i] = pack('<I4', numbers[i]) end
  return table.concat(out)
end
