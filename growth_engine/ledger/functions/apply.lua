-- apply: folds journal entries into a book. Everything is read and validated first, then written;
-- an entry at or below the book's sequence number is skipped, a gap stops the fold.

-- place_of, remembering the keys: making a string of a number is not free.
local function place_in(state, n)
  local bucket = floor((n - 1) / PER_BUCKET)
  local key = state.bucket_keys[bucket]
  if not key then
    key = state.base .. 'rec:' .. bucket
    state.bucket_keys[bucket] = key
  end
  return key, (n - 1 - bucket * PER_BUCKET) * RECORD
end

-- The record of an existing member as a list, kept for this call; whatever is fetched is written back.
local function fetch(state, n)
  local record = state.records[n]
  if not record then
    local key, offset = place_in(state, n)
    record = {unpack_struct(LAYOUT, raw_at(key, offset, n))}
    state.records[n] = record
  end
  return record
end

local function member_of(state, n)
  return fetch(state, whole(n, 1, state.members, 'member'))
end

-- The parent of an existing member, whose record does not change for being asked.
local function parent_of(state, n)
  local record = state.records[n]
  if record then return record[PARENT] end
  local parent = state.parents[n]
  if not parent then
    parent = field_of(state.base, n, PARENT)
    state.parents[n] = parent
  end
  return parent
end

local function bump(counters, name, delta) counters[name] = (counters[name] or 0) + delta end

local function ranked_change(state, n, old, new)
  if old == new then return end
  if old > 0 then bump(state.hist, old, -1) end
  if new > 0 then bump(state.hist, new, 1) end
  if old == 0 then state.ranked = state.ranked + 1 end
  if new == 0 then state.ranked = state.ranked - 1 end
  local events, count = state.events, state.event_count
  events[count + 1], events[count + 2], events[count + 3], events[count + 4] = n, old, new, state.members
  state.event_count = count + 4
end

-- Adds delta to the team counts of a member's parent and grandparent.
local function team_change(state, parent, delta)
  if parent == 0 then return end
  local record = fetch(state, parent)
  record[LEVEL1] = record[LEVEL1] + delta
  local grandparent = record[PARENT]
  if grandparent > 0 then
    record = fetch(state, grandparent)
    record[LEVEL2] = record[LEVEL2] + delta
  end
end

local function cohort_of(value)
  if type(value) ~= 'string' or not string.find(value, '^%d%d%d%d%-%d%d%-%d%d$') then
    refuse('cohort must be a date like 2026-01-31')
  end
  return value
end

local OPS = {} -- each gets the state and what follows the op's letter
local LENGTH = {m = 4, l = 2, r = 2, s = 4, b = 2, u = 2, f = 3, a = 5, e = 3, v = 3}

OPS.m = function(state, n, parent, cohort)
  whole(n, state.members + 1, state.members + 1, 'number')
  if n > MAX_U32 then refuse('the book is full') end
  whole(parent, 0, n - 1, 'parent')
  cohort_of(cohort)
  local record = {parent, 0, 0, 0, 0, 0, 0}
  if parent > 0 then
    local inviter = fetch(state, parent)
    record[NEXT] = inviter[FIRST]
    inviter[FIRST] = n
  end
  state.records[n] = record
  state.members = n
  state.active = state.active + 1
  team_change(state, parent, 1)
  bump(state.cohort, cohort, 1)
end

OPS.l = function(state, n)
  local record = member_of(state, n)
  if is_left(record[FLAGS]) then refuse('the member has already left') end
  record[FLAGS] = record[FLAGS] + LEFT
  state.active = state.active - 1
  team_change(state, record[PARENT], -1)
end

OPS.r = function(state, n)
  local record = member_of(state, n)
  if not is_left(record[FLAGS]) then refuse('the member has not left') end
  record[FLAGS] = record[FLAGS] - LEFT
  state.active = state.active + 1
  team_change(state, record[PARENT], 1)
end

OPS.s = function(state, n, delta, cohort)
  local record = member_of(state, n)
  whole(delta, -MAX_SCORE, MAX_SCORE, 'delta')
  cohort_of(cohort)
  local old = record[SCORE]
  local new = old + delta
  if new < 0 or new > MAX_SCORE then refuse('the score would become ' .. format('%.0f', new)) end
  record[SCORE] = new
  state.score_sum = state.score_sum + delta
  bump(state.invites, cohort, delta)
  if not is_blocked(record[FLAGS]) then ranked_change(state, n, old, new) end
end

OPS.b = function(state, n)
  local record = member_of(state, n)
  if is_blocked(record[FLAGS]) then refuse('the member is already blocked') end
  record[FLAGS] = record[FLAGS] + BLOCKED
  state.blocked = state.blocked + 1
  ranked_change(state, n, record[SCORE], 0)
end

OPS.u = function(state, n)
  local record = member_of(state, n)
  if not is_blocked(record[FLAGS]) then refuse('the member is not blocked') end
  record[FLAGS] = record[FLAGS] - BLOCKED
  state.blocked = state.blocked - 1
  ranked_change(state, n, 0, record[SCORE])
end

OPS.f = function(state, step, delta)
  if type(step) ~= 'string' or #step > 32 or not string.find(step, '^[%w_.:-]+$') then
    refuse('a funnel step is 1 to 32 ASCII letters, digits or _ . : -')
  end
  bump(state.funnel, step, whole(delta, -MAX_COUNT, MAX_COUNT, 'delta'))
end

OPS.a = balance_change

OPS.e = function(state, n, delta)
  earned_change(state, whole(n, 1, state.members, 'member'), delta)
end

OPS.v = function(state, n, amount)
  local parent = parent_of(state, whole(n, 1, state.members, 'member'))
  branch_change(state, parent, parent > 0 and parent_of(state, parent) or 0, amount)
end

-- `flat` is one list, because a table per entry and per op would cost more than all the rest:
-- seq, number of ops, then for each op its length and its parts. state.op_at says where a refusal
-- arose; one pcall around all is cheaper than one per op.
local function fold_entry(state, flat, at, ops)
  for i = 1, ops do
    local length, letter = flat[at], flat[at + 1]
    state.op_at = i
    if not letter or LENGTH[letter] ~= length then refuse('there is no such op') end
    OPS[letter](state, flat[at + 2], flat[at + 3], flat[at + 4], flat[at + 5])
    at = at + 1 + length
  end
  state.op_at = 0
  state.seq = state.seq + 1
  return at
end

local function skip_entry(flat, at, ops)
  for _ = 1, ops do at = at + 1 + flat[at] end
  return at
end

-- Folds what follows the book's sequence number; true if it stopped at a gap.
local function fold(state, payload)
  local flat = cjson.decode(payload)
  local at, count = 1, #flat
  while at <= count do
    local seq, ops = whole(flat[at], 1, MAX_COUNT, 'sequence number'), flat[at + 1]
    if seq > state.seq + 1 then return true end
    if seq > state.seq then
      at = fold_entry(state, flat, at + 2, ops)
    else
      at = skip_entry(flat, at + 2, ops)
    end
  end
  return false
end

local function refusal(state, why)
  if type(why) == 'table' then why = why.err end
  if sub(why, 1, 8) == 'GEBROKEN' then return why end
  return format('GEREFUSED entry %.0f, op %d: %s', state.seq + 1, state.op_at, why)
end

local function new_state(base)
  local meta = read_meta(base)
  local state = {
    base = base, seq = meta.seq, members = meta.members, active = meta.active, blocked = meta.blocked,
    score_sum = meta.score_sum, ranked = meta.ranked, stored = meta.members, stored_seq = meta.seq,
    records = {}, hist = {}, funnel = {}, cohort = {}, invites = {}, bucket_keys = {}, events = {}, event_count = 0, op_at = 0,
    sums = {balance = {}, branch = {}}, maps = {}, earned = {}, parents = {},
    now = {}, position = {members = meta.members, ranked = meta.ranked},
    board = {key = base .. 'board:0', floor_s = meta.floor_s, floor_n = meta.floor_n, size = meta.size},
  }
  if meta.scan_step > 0 then
    state.scan = {
      key = base .. 'shadow:0', floor_s = meta.scan_floor_s, floor_n = meta.scan_floor_n,
      size = meta.scan_size, cursor = meta.scan_cursor, limit = meta.scan_limit, step = meta.scan_step,
    }
  end
  return state
end

-- Members that joined in this batch lie side by side: one write per bucket.
local function write_new_records(state)
  local records, n = state.records, state.stored + 1
  while n <= state.members do
    local key, offset = place_of(state.base, n)
    if offset == 0 then call('SETRANGE', key, PER_BUCKET * RECORD - 1, '\0') end
    local last = math.min(n + PER_BUCKET - 1 - offset / RECORD, state.members)
    local parts = {}
    for i = n, last do
      local r = records[i]
      parts[#parts + 1] = pack(LAYOUT, r[1], r[2], r[3], r[4], r[5], r[6], r[7])
    end
    call('SETRANGE', key, offset, table.concat(parts))
    n = last + 1
  end
end

local function write_records(state)
  local stored = state.stored
  for n, r in pairs(state.records) do
    if n <= stored then
      local key, offset = place_in(state, n)
      call('SETRANGE', key, offset, pack(LAYOUT, r[1], r[2], r[3], r[4], r[5], r[6], r[7]))
    end
  end
  write_new_records(state)
end

-- A counter at zero has no field, except where `keep`: the same facts always give the same hash.
local function write_counters(key, counters, keep)
  for name, delta in pairs(counters) do
    if delta ~= 0 or keep then
      if call('HINCRBY', key, name, delta) == 0 and not keep then call('HDEL', key, name) end
    end
  end
end

local function write_state(state)
  local board, scan = state.board, state.scan or {}
  write_meta(state.base, {
    seq = state.seq, members = state.members, active = state.active, blocked = state.blocked,
    score_sum = state.score_sum, ranked = state.ranked,
    floor_s = board.floor_s, floor_n = board.floor_n, size = board.size,
    scan_cursor = scan.cursor, scan_limit = scan.limit, scan_step = scan.step,
    scan_floor_s = scan.floor_s, scan_floor_n = scan.floor_n, scan_size = scan.size,
  })
end

local function write(state)
  local events = state.events
  for i = 1, state.event_count, 4 do -- before the records: see scan_bucket
    board_event(state, events[i], events[i + 1], events[i + 2], events[i + 3])
  end
  write_records(state)
  write_counters(state.base .. 'hist:0', state.hist, false)
  write_counters(state.base .. 'funnel:0', state.funnel, false)
  write_counters(state.base .. 'cohort:0', state.cohort, true)
  write_counters(state.base .. 'invites:0', state.invites, false)
  write_money(state)
  write_state(state)
end

-- Which epoch a call writes to, and whether the live pointer is still to be set.
local function target_epoch(book_key, wanted)
  local book = call('HMGET', book_key, 'live', 'building', 'next')
  if wanted == '' then
    if book[1] then return book[1], false end
    return format('%.0f', tonumber(book[3] or 0) + 1), true
  end
  if wanted == book[1] or wanted == book[2] then return wanted, false end
  return nil
end

-- KEYS: the book; ARGV: epoch ('' for the live one), entries as JSON (see fold_entry).
-- Reply: {last seq, 1 if stopped at a gap}.
local function apply(keys, args)
  local epoch, fresh = target_epoch(keys[1], args[1])
  if not epoch then return redis.error_reply('GESTALE epoch ' .. args[1] .. ' is neither live nor being built') end
  local state = new_state(base_of(keys[1], epoch))
  local ok, gap = pcall(fold, state, args[2])
  if not ok then
    return redis.error_reply(refusal(state, gap))
  end
  if state.seq > state.stored_seq then
    if fresh then call('HSET', keys[1], 'live', epoch, 'next', epoch) end
    write(state)
  end
  return {state.seq, gap and 1 or 0}
end

register('apply', apply)
