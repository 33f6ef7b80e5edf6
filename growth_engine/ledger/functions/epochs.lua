-- Epochs: a rebuild folds the journal under a new prefix and switches the pointer; readers see the
-- old epoch or the new one, never a mixture. Retired epochs are deleted in pieces.

local SWEEP_BUCKETS = 256
local SINGLE_KEYS = {
  'meta', 'board', 'shadow', 'hist', 'funnel', 'cohort', 'invites', 'earned', 'balance_map', 'branch_map',
}

local function retire(book_key, field)
  local epoch = call('HGET', book_key, field)
  if not epoch then return end
  call('HSET', book_key, 'r' .. epoch, 0)
  call('HDEL', book_key, field)
end

-- Reply: the new epoch. An unfinished rebuild is given up: its writer learns it from GESTALE.
local function begin_rebuild(keys)
  retire(keys[1], 'building')
  local epoch = call('HINCRBY', keys[1], 'next', 1)
  call('HSET', keys[1], 'building', epoch)
  return epoch
end

-- ARGV: epoch, '1' to switch even if the new epoch is behind the live one.
-- Reply: {1 if switched, seq of the new epoch, seq of the old one}.
local function finish_rebuild(keys, args)
  local book = call('HMGET', keys[1], 'live', 'building')
  if book[2] ~= args[1] then return redis.error_reply('GESTALE epoch ' .. args[1] .. ' is not being built') end
  local new = read_meta(base_of(keys[1], args[1])).seq
  local old = book[1] and read_meta(base_of(keys[1], book[1])).seq or 0
  if new < old and args[2] ~= '1' then return {0, new, old} end
  retire(keys[1], 'live')
  call('HDEL', keys[1], 'building')
  call('HSET', keys[1], 'live', args[1])
  return {1, new, old}
end

-- ARGV: epoch. Gives up a rebuild.
local function abandon(keys, args)
  if call('HGET', keys[1], 'building') == args[1] then retire(keys[1], 'building') end
  return 1
end

local function forget(keys)
  retire(keys[1], 'live')
  retire(keys[1], 'building')
  return 1
end

local function next_retired(book_key)
  local flat = call('HGETALL', book_key)
  for i = 1, #flat, 2 do
    if sub(flat[i], 1, 1) == 'r' then return sub(flat[i], 2), tonumber(flat[i + 1]) end
  end
end

-- The branches of the members of one bucket of records.
local function sweep_branches(base, bucket)
  local first = bucket * PER_BUCKET / PER_BRANCH
  for b = first, first + PER_BUCKET / PER_BRANCH - 1 do call('UNLINK', base .. 'branch:' .. format('%.0f', b)) end
end

-- Deletes one piece of one retired epoch. Reply: 1 if more remains.
local function sweep(keys)
  local epoch, bucket = next_retired(keys[1])
  if not epoch then
    -- A book that is wholly gone leaves no key behind; epochs may be numbered afresh.
    if call('HEXISTS', keys[1], 'live') + call('HEXISTS', keys[1], 'building') == 0 then call('UNLINK', keys[1]) end
    return 0
  end
  local base = base_of(keys[1], epoch)
  local buckets = math.ceil(read_meta(base).members / PER_BUCKET)
  if call('EXISTS', base .. 'balance_map:0') == 1 then buckets = math.max(buckets, OWNER_BUCKETS) end
  local last = math.min(bucket + SWEEP_BUCKETS, buckets)
  local sold = call('EXISTS', base .. 'branch_map:0') == 1
  for b = bucket, last - 1 do
    call('UNLINK', base .. 'rec:' .. b, base .. 'balance:' .. b)
    if sold then sweep_branches(base, b) end
  end
  if last < buckets then
    call('HSET', keys[1], 'r' .. epoch, last)
    return 1
  end
  for _, kind in ipairs(SINGLE_KEYS) do call('UNLINK', base .. kind .. ':0') end
  call('HDEL', keys[1], 'r' .. epoch)
  return 1
end

register('begin', begin_rebuild)
register('finish', finish_rebuild)
register('abandon', abandon)
register('forget', forget)
register('sweep', sweep)
