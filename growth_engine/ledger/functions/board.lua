-- The leaderboard: a zset with a cap whose content is always an exact prefix of the full order
-- (score descending, then number ascending: of two equals the one who joined first stands first).
--
-- The floor (floor_s, floor_n) is a place in that order. Invariant: the zset holds exactly the ranked
-- members that stand strictly before the floor. No floor (0, 0) means it holds everybody ranked. So
-- whether somebody is on the board follows from the score alone, without asking the zset.
--
-- The zset overflows: the last one goes and becomes the floor. Somebody falls behind the floor: the
-- zset shrinks. Long before it shrinks to BOARD_SHOWN, a second board, the shadow, is gathered from the
-- records, a few buckets each time somebody falls; finished, it replaces the first. Each fall costs a
-- bounded scan (members / (PER_BUCKET * SCAN_FALLS) buckets), and there can be at most SCAN_FALLS falls
-- during a scan, so BOARD_LOW - SCAN_FALLS > BOARD_SHOWN keeps the shown places exact at every moment.
-- All of it is a function of the journal alone: neither batches nor time make a difference.

local BOARD_CAP = 1000
local BOARD_LOW = 600
local SCAN_FALLS = 400
local BOARD_SHOWN = 100

local function stands_before(score, n, floor_s, floor_n)
  return score > floor_s or (score == floor_s and n < floor_n)
end

-- Moves member n from ranked score `old` to `new` (0: not ranked); true if n fell off the board.
local function board_put(board, n, old, new)
  local was = old > 0 and stands_before(old, n, board.floor_s, board.floor_n)
  if new > 0 and stands_before(new, n, board.floor_s, board.floor_n) then
    call('ZADD', board.key, -new, number_name(n))
    if not was then
      board.size = board.size + 1
      if board.size > BOARD_CAP then
        local last = call('ZPOPMAX', board.key)
        board.size = BOARD_CAP
        board.floor_n, board.floor_s = name_number(last[1]), -tonumber(last[2])
      end
    end
    return false
  end
  if was then
    call('ZREM', board.key, number_name(n))
    board.size = board.size - 1
  end
  return was
end

local function scan_begin(state)
  local buckets = math.ceil(state.position.members / PER_BUCKET)
  state.scan = {
    key = state.base .. 'shadow:0', floor_s = 0, floor_n = 0, size = 0,
    cursor = 0, limit = state.position.members, step = math.ceil(buckets / SCAN_FALLS),
  }
end

local function scan_finish(state)
  local scan = state.scan
  local board = state.board
  call('DEL', board.key)
  if scan.size > 0 then call('RENAME', scan.key, board.key) end
  board.floor_s, board.floor_n, board.size = scan.floor_s, scan.floor_n, scan.size
  state.scan = nil
end

local function scan_cancel(state)
  call('DEL', state.scan.key)
  state.scan = nil
end

-- One bucket into the shadow. The stored records are those before this batch, because records are
-- written last; what the batch has changed up to here is in state.now.
local function scan_bucket(state, bucket, last)
  local scan, now = state.scan, state.now
  local raw = call('GET', state.base .. 'rec:' .. bucket) or ''
  local stored = #raw
  for n = bucket * PER_BUCKET + 1, last do
    local score = now[n]
    local offset = (n - 1 - bucket * PER_BUCKET) * RECORD
    if not score and offset < stored then
      local kept, flags = unpack_struct('<I4I4', raw, offset + 13)
      score = ranked_score(kept, flags)
    end
    if score and score > 0 then board_put(scan, n, 0, score) end
  end
end

local function scan_step(state)
  local scan = state.scan
  for _ = 1, scan.step do
    if scan.cursor >= scan.limit then break end
    local bucket = floor(scan.cursor / PER_BUCKET)
    local last = math.min((bucket + 1) * PER_BUCKET, scan.limit)
    scan_bucket(state, bucket, last)
    scan.cursor = last
  end
  if scan.cursor >= scan.limit then scan_finish(state) end
end

-- One change of a ranked score, in the order of the journal, when the book had `members`.
local function board_event(state, n, old, new, members)
  local board, position = state.board, state.position
  position.members = members
  if old == 0 and new > 0 then position.ranked = position.ranked + 1 end
  if old > 0 and new == 0 then position.ranked = position.ranked - 1 end
  state.now[n] = new
  local fell = board_put(board, n, old, new)
  local scan = state.scan
  if scan and (n <= scan.cursor or n > scan.limit) then
    fell = board_put(scan, n, old, new) or fell
  end
  if not fell then return end
  if board.size == position.ranked then
    board.floor_s, board.floor_n = 0, 0
    if scan then scan_cancel(state) end
    return
  end
  if not scan and board.size < BOARD_LOW then scan_begin(state) end
  if state.scan then scan_step(state) end
end

-- How many ranked members have a score above `score`.
local function count_above(base, score, ranked)
  local key = base .. 'hist:0'
  local upto = 0
  if score <= 64 then
    local fields = {}
    for s = 1, score do fields[s] = s end
    local counts = call('HMGET', key, unpack(fields))
    for s = 1, score do upto = upto + tonumber(counts[s] or 0) end
  else -- there are at most sqrt(2 * invites) different scores
    local flat = call('HGETALL', key)
    for i = 1, #flat, 2 do
      if tonumber(flat[i]) <= score then upto = upto + tonumber(flat[i + 1]) end
    end
  end
  return ranked - upto
end

-- Place of a member: exact on the board; behind it, the first place its score could have. 0: none.
local function rank_of(base, meta, n, score)
  if score == 0 then return 0 end
  if stands_before(score, n, meta.floor_s, meta.floor_n) then
    local rank = call('ZRANK', base .. 'board:0', number_name(n))
    if not rank then error('GEBROKEN member ' .. n .. ' is missing from the board; rebuild this book', 0) end
    return rank + 1
  end
  return math.max(meta.size, count_above(base, score, meta.ranked)) + 1
end
