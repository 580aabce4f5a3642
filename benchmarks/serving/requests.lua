-- Sends the requests of files in turn: wrk -s requests.lua URL -- PATHS [BODIES PATH SHARE].
-- PATHS: one path a line, sent as GET; "-" for none. BODIES: one JSON body a line, sent to PATH as POST.
-- SHARE: the share of requests that are posted (default: all, where there are no paths).
-- Prints one line of JSON at the end.
local gets, posts, sent, due, share = {}, {}, 0, 0, 0

function init(args)
  if args[1] ~= "-" then
    for path in io.lines(args[1]) do gets[#gets + 1] = wrk.format("GET", path) end
  end
  if args[2] then
    local headers = { ["content-type"] = "application/json" }
    for body in io.lines(args[2]) do posts[#posts + 1] = wrk.format("POST", args[3], headers, body) end
    share = tonumber(args[4] or "1")
  end
end

function request()
  sent, due = sent + 1, due + share
  if due >= 1 then
    due = due - 1
    return posts[sent % #posts + 1]
  end
  return gets[sent % #gets + 1]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
