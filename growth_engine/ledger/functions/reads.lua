-- Reads: each one round trip, none writes. Lists of numbers travel as packed little-endian integers.

local VIEW = '<I4I4I4I4I4I4I4'

local function register_read(name, callback)
  register(name, callback, {'no-writes'})
end

-- ARGV: numbers. Reply: for each that exists number, parent, level 1, level 2, score, flags, rank (0: none).
register_read('members', function(keys, args)
  local base = live_base(keys[1])
  if not base then return '' end
  local meta = read_meta(base)
  local out = {}
  for i = 1, #args do
    local n = tonumber(args[i])
    if n >= 1 and n <= meta.members then
      local parent, level1, level2, score, flags = unpack_struct(LAYOUT, raw_record(base, n))
      local rank = rank_of(base, meta, n, ranked_score(score, flags))
      out[#out + 1] = pack(VIEW, n, parent, level1, level2, score, flags, rank)
    end
  end
  return table.concat(out)
end)

-- ARGV: member, after (0: from the newest), limit. Reply: numbers, newest first.
register_read('children', function(keys, args)
  local n, after, limit = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
  local base = live_base(keys[1])
  local members = base and read_meta(base).members or 0
  if n < 1 or n > members then return '' end
  local child
  if after == 0 then
    child = field_of(base, n, FIRST)
  else
    local sibling = after >= 1 and after <= members and {unpack_struct(LAYOUT, raw_record(base, after))}
    child = sibling and sibling[NEXT]
    if not sibling or sibling[PARENT] ~= n then return redis.error_reply('GECURSOR member ' .. after .. ' is no child of ' .. n) end
  end
  local out = {}
  while child > 0 and #out < limit do
    out[#out + 1] = child
    child = field_of(base, child, NEXT)
  end
  return pack_numbers(out)
end)

-- ARGV: member, limit. Reply: numbers, parent first.
register_read('ancestors', function(keys, args)
  local n, limit = tonumber(args[1]), tonumber(args[2])
  local base = live_base(keys[1])
  local members = base and read_meta(base).members or 0
  if n < 1 or n > members then return '' end
  local out = {}
  while #out < limit do
    n = field_of(base, n, PARENT)
    if n == 0 then break end
    out[#out + 1] = n
  end
  return pack_numbers(out)
end)

-- ARGV: limit. Reply: pairs number, score, best first.
local function leaders(base, limit)
  local flat = call('ZRANGE', base .. 'board:0', 0, limit - 1, 'WITHSCORES')
  local out = {}
  for i = 1, #flat, 2 do
    out[#out + 1] = name_number(flat[i])
    out[#out + 1] = -tonumber(flat[i + 1])
  end
  return pack_numbers(out)
end

register_read('leaderboard', function(keys, args)
  local base = live_base(keys[1])
  if not base then return '' end
  return leaders(base, math.min(tonumber(args[1]), BOARD_CAP))
end)

-- Reply: seq, members, active, blocked, score sum, ranked, live epoch (0: none), epoch being built (0: none).
register_read('totals', function(keys)
  local book = call('HMGET', keys[1], 'live', 'building')
  local building = tonumber(book[2] or 0)
  if not book[1] then return {0, 0, 0, 0, 0, 0, 0, building} end
  local meta = read_meta(base_of(keys[1], book[1]))
  return {
    meta.seq, meta.members, meta.active, meta.blocked, meta.score_sum, meta.ranked, tonumber(book[1]), building,
  }
end)

register_read('funnel', function(keys)
  local base = live_base(keys[1])
  return base and call('HGETALL', base .. 'funnel:0') or {}
end)

-- Reply: {date, members, …}, {date, invites, …}.
register_read('cohorts', function(keys)
  local base = live_base(keys[1])
  if not base then return {{}, {}} end
  return {call('HGETALL', base .. 'cohort:0'), call('HGETALL', base .. 'invites:0')}
end)

-- ARGV: account, owner, currency; again and again. Reply: a balance for each, as decimal strings.
register_read('balances', function(keys, args)
  local base = live_base(keys[1])
  local out = {}
  for i = 1, #args, 3 do
    local bucket, field = balance_place(args[i], args[i + 1], args[i + 2])
    out[#out + 1] = base and call('HGET', base .. 'balance:' .. bucket, field) or '0'
  end
  return out
end)

-- ARGV: first place (from 0), how many. Reply: pairs number, earned (a double), best first.
register_read('earned', function(keys, args)
  local base = live_base(keys[1])
  if not base then return '' end
  local first = tonumber(args[1])
  return earners(base, first, first + tonumber(args[2]) - 1)
end)

-- ARGV: numbers. Reply: for each what was earned (a double) and the place (0: nothing earned).
register_read('earned_of', function(keys, args)
  local base = live_base(keys[1])
  local out = {}
  for i = 1, #args do
    local n = tonumber(args[i])
    local known = base and n >= 1 and n <= MAX_U32
    local place = known and call('ZRANK', base .. 'earned:0', number_name(n))
    out[i] = pack('<dI4', place and earned_by(base, n) or 0, place and place + 1 or 0)
  end
  return table.concat(out)
end)

-- ARGV: numbers. Reply: for each the sales of the two levels below, as decimal strings.
register_read('branch', function(keys, args)
  local base = live_base(keys[1])
  local out = {}
  for i = 1, #args do
    local bucket, field = branch_place(tonumber(args[i]))
    out[i] = base and call('HGET', base .. 'branch:' .. bucket, field) or '0'
  end
  return out
end)

-- Reply: live epoch, seq, members, then funnel, cohorts, invites, histogram as flat lists, first places,
-- bitmaps of the balance and branch buckets in use, how many have earned.
register_read('outline', function(keys)
  local epoch = call('HGET', keys[1], 'live')
  if not epoch then return {0, 0, 0, {}, {}, {}, {}, '', '', '', 0} end
  local base = base_of(keys[1], epoch)
  local meta = read_meta(base)
  return {
    tonumber(epoch), meta.seq, meta.members,
    call('HGETALL', base .. 'funnel:0'), call('HGETALL', base .. 'cohort:0'),
    call('HGETALL', base .. 'invites:0'), call('HGETALL', base .. 'hist:0'), leaders(base, BOARD_SHOWN),
    call('GET', base .. 'balance_map:0') or '', call('GET', base .. 'branch_map:0') or '',
    call('ZCARD', base .. 'earned:0'),
  }
end)

-- ARGV: 'balance' or 'branch', buckets. Reply: live epoch, seq, those hashes as flat lists.
register_read('hashes', function(keys, args)
  local epoch = call('HGET', keys[1], 'live')
  if not epoch then return {0, 0} end
  local base = base_of(keys[1], epoch)
  local reply = {tonumber(epoch), read_meta(base).seq}
  for i = 2, #args do reply[i + 1] = call('HGETALL', base .. args[1] .. ':' .. args[i]) end
  return reply
end)

-- ARGV: first place (from 0), how many. Reply: live epoch, seq, pairs as of `earned`.
register_read('earners', function(keys, args)
  local epoch = call('HGET', keys[1], 'live')
  if not epoch then return {0, 0, ''} end
  local base = base_of(keys[1], epoch)
  local first = tonumber(args[1])
  return {tonumber(epoch), read_meta(base).seq, earners(base, first, first + tonumber(args[2]) - 1)}
end)

-- ARGV: first bucket, how many. Reply: live epoch, seq, the buckets as they are stored.
register_read('buckets', function(keys, args)
  local epoch = call('HGET', keys[1], 'live')
  if not epoch then return {0, 0} end
  local base = base_of(keys[1], epoch)
  local reply = {tonumber(epoch), read_meta(base).seq}
  local first = tonumber(args[1])
  for bucket = first, first + tonumber(args[2]) - 1 do
    reply[#reply + 1] = call('GET', base .. 'rec:' .. bucket) or ''
  end
  return reply
end)
