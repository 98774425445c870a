-- What wrk asks, line by line from a file, and what it tells at the end as one JSON object:
--   wrk ... URL -- FILE ASKED EXPECTED
-- FILE holds the body of one POST per line. ASKED lines were asked before; after the last comes
-- the first again. Answers that do not hold the text EXPECTED are counted as wrong; with an empty
-- one no answer is read, which is what a measured run wants.

wrk.method = "POST"
wrong = 0

local requests, asked, expected = {}, 0, ""

function setup(thread)
   measured = thread
end

function init(args)
   for body in io.lines(args[1]) do
      requests[#requests + 1] = wrk.format(nil, nil, nil, body)
   end
   asked, expected = tonumber(args[2]), args[3]
   if expected ~= "" then
      response = check
   end
end

function request()
   asked = asked + 1
   return requests[(asked - 1) % #requests + 1]
end

function check(_, _, body)
   if not body:find(expected, 1, true) then
      wrong = wrong + 1
   end
end

function done(summary)
   local errors = summary.errors
   print(string.format(
      '{"answers": %d, "microseconds": %d, "refused": %d, "failed": %d, "wrong": %d}',
      summary.requests, summary.duration, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout, measured:get("wrong")
   ))
end
