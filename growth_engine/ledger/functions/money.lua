-- Money: balances of accounts, what members have earned, what was sold in the two levels below them.
--
-- Balances and branch values are 64-bit integers, which Lua's numbers are not: they travel and lie as
-- decimal strings and are added here as a pair {high, low} standing for high * UNIT + low, where low is
-- from 0 to UNIT - 1. A sum at zero has no field: the same journal always gives the same hashes, in
-- whatever batches it came.
--
-- An owner's accounts lie in one of OWNER_BUCKETS hashes: a book with a million owners has 244 of them in
-- each. Small hashes are kept as packed lists, which are read from their beginning: hence the small buckets
-- of branches, too.
-- What was earned lies in a zset without a cap: why is in docs/decisions/0010.

local OWNER_BUCKETS = 4096
local PER_BRANCH = 65 -- members in one hash; PER_BUCKET is a multiple of it
local UNIT = 1000000000
local MAX_HIGH, MAX_LOW = 9223372036, 854775807 -- 2^63 - 1

local function normal(high, low)
  local carry = floor(low / UNIT)
  return high + carry, low - carry * UNIT
end

local function amount_of(text)
  local sign, digits
  if type(text) == 'string' and #text <= 20 then sign, digits = string.match(text, '^(%-?)(%d+)$') end
  if not digits or #digits > 19 then refuse('an amount is a decimal string of at most 64 bits') end
  local high, low = tonumber(sub(digits, 1, -10)) or 0, tonumber(sub(digits, -9))
  if high > MAX_HIGH or (high == MAX_HIGH and low > MAX_LOW) then refuse('an amount has at most 64 bits') end
  if sign == '-' then return normal(-high, -low) end
  return high, low
end

local function amount_text(high, low)
  local sign = ''
  if high < 0 then
    sign = '-'
    high, low = normal(-high, -low)
  end
  if high == 0 then return sign .. format('%.0f', low) end
  return sign .. format('%.0f', high) .. format('%09.0f', low)
end

-- Whether a bit of a bitmap is set; the bitmap is fetched once a call.
local function is_marked(state, map, bit)
  local bytes = state.maps[map]
  if not bytes then
    bytes = call('GET', map) or ''
    state.maps[map] = bytes
  end
  local byte = string.byte(bytes, floor(bit / 8) + 1)
  return byte and floor(byte / 2 ^ (7 - bit % 8)) % 2 == 1
end

-- The running sum of one field, read from the server the first time.
local function sum_of(state, kind, bucket, field)
  local place = state.sums[kind][bucket]
  if not place then
    place = {key = state.base .. kind .. ':' .. bucket, fields = {}}
    state.sums[kind][bucket] = place
  end
  local sum = place.fields[field]
  if not sum then
    local high, low = amount_of(call('HGET', place.key, field) or '0')
    sum = {high, low}
    place.fields[field] = sum
  end
  return sum
end

local function add(sum, high, low)
  high, low = normal(sum[1] + high, sum[2] + low)
  -- The most negative 64-bit number is left out, so that every sum has its opposite.
  if high > MAX_HIGH or (high == MAX_HIGH and low > MAX_LOW)
    or high < -MAX_HIGH - 1 or (high == -MAX_HIGH - 1 and low < UNIT - MAX_LOW) then
    refuse('the sum would need more than 64 bits')
  end
  sum[1], sum[2] = high, low
end

-- Bucket and field of an account. Ids and numbers differ most at their end.
local function balance_place(account, owner, currency)
  local bucket = 0
  for i = math.max(1, #owner - 7), #owner do bucket = (bucket * 31 + string.byte(owner, i)) % 65521 end
  return bucket % OWNER_BUCKETS, account .. ':' .. currency .. ':' .. owner
end

local function balance_change(state, account, owner, currency, amount)
  if type(account) ~= 'string' or #account > 32 or not string.find(account, '^[a-z_]+$') then
    refuse('an account is 1 to 32 small letters or _')
  end
  if type(owner) ~= 'string' or #owner > 64 or not string.find(owner, '^[%w_.:-]*$') then
    refuse('an owner is at most 64 ASCII letters, digits or _ . : -')
  end
  if type(currency) ~= 'string' or not string.find(currency, '^%u%u%u$') then
    refuse('a currency is three capital letters')
  end
  local high, low = amount_of(amount)
  local bucket, field = balance_place(account, owner, currency)
  add(sum_of(state, 'balance', bucket, field), high, low)
end

-- Bucket and field of a member.
local function branch_place(n)
  return floor((n - 1) / PER_BRANCH), format('%.0f', n)
end

local function branch_add(state, n, high, low)
  if n > 0 then
    local bucket, field = branch_place(n)
    add(sum_of(state, 'branch', bucket, field), high, low)
  end
end

-- Sales of a member's child or grandchild; 0 for a level there is nobody on.
local function branch_change(state, parent, grandparent, amount)
  local high, low = amount_of(amount)
  branch_add(state, parent, high, low)
  branch_add(state, grandparent, high, low)
end

local function earned_by(base, n)
  return -tonumber(call('ZSCORE', base .. 'earned:0', number_name(n)) or 0)
end

local function earned_change(state, n, delta)
  whole(delta, -MAX_COUNT, MAX_COUNT, 'delta')
  local new = (state.earned[n] or earned_by(state.base, n)) + delta
  if new < 0 or new > MAX_COUNT then refuse('what was earned would become ' .. format('%.0f', new)) end
  state.earned[n] = new
end

-- From place `first` to `last` (from 0): pairs number, earned, packed.
local function earners(base, first, last)
  local flat = call('ZRANGE', base .. 'earned:0', first, last, 'WITHSCORES')
  local out = {}
  for i = 1, #flat, 2 do out[#out + 1] = pack('<I4d', name_number(flat[i]), -tonumber(flat[i + 1])) end
  return table.concat(out)
end

local function write_sums(state, kind)
  local map = state.base .. kind .. '_map:0'
  for bucket, place in pairs(state.sums[kind]) do
    if not is_marked(state, map, bucket) then call('SETBIT', map, bucket, 1) end
    for field, sum in pairs(place.fields) do
      if sum[1] == 0 and sum[2] == 0 then
        call('HDEL', place.key, field)
      else
        call('HSET', place.key, field, amount_text(sum[1], sum[2]))
      end
    end
  end
end

local function write_money(state)
  write_sums(state, 'balance')
  write_sums(state, 'branch')
  local key = state.base .. 'earned:0'
  for n, earned in pairs(state.earned) do
    if earned == 0 then
      call('ZREM', key, number_name(n))
    else
      call('ZADD', key, format('%.0f', -earned), number_name(n))
    end
  end
end
