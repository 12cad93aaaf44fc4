#!/bin/sh
# The report page in a browser: test_page.sh MAKE_PAGE CHROMIUM. No error on the console, no request to anywhere, plots
# drawn with no text cut or over another, sorting by mouse and keyboard, nothing wider than a phone, in light and dark; and
# all figures without scripts.
set -eu
make_page=$1
chromium=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$make_page" "$work/study"

# The page watches itself: first of all what goes wrong, at its end what a reader does.
cat >"$work/watch.html" <<'HTML'
<script>
window.wrong = [];
window.onerror = function (text) { window.wrong.push("error: " + text); };
console.error = console.warn = function () { window.wrong.push("console: " + Array.prototype.join.call(arguments, " ")); };
document.addEventListener("securitypolicyviolation", function (e) { window.wrong.push("refused by policy: " + e.blockedURI); });
</script>
HTML
cat >"$work/read.html" <<'HTML'
<script>
addEventListener("load", function () { setTimeout(function () {
  var out = window.wrong;
  try { read(out); } catch (e) { out.push("exception: " + e.message); }
  parent.postMessage("width " + innerWidth + " dark " + matchMedia("(prefers-color-scheme: dark)").matches + ": " + (out.length ? out.join("; ") : "all is well"), "*");
}, 300); });
function read(out) {
  function check(good, words) { if (!good) out.push(words); }
  var table = document.querySelector("table.sortable"), body = table.tBodies[0];
  function column(i) { return Array.prototype.map.call(body.rows, function (r) { return r.cells[i].getAttribute("data-v"); }); }
  function rises(list, sign) {
    var numbers = list.filter(function (x) { return x !== null; }).map(Number);
    for (var i = 1; i < numbers.length; i++) if ((numbers[i] - numbers[i - 1]) * sign < 0) return false;
    var gap = list.indexOf(null);
    return gap < 0 || list.slice(gap).every(function (x) { return x === null; });
  }
  var heads = table.tHead.rows[0].cells, rows = body.rows.length;
  heads[3].querySelector("button").click();
  check(rises(column(3), 1) && heads[3].getAttribute("aria-sort") === "ascending", "sparsity does not sort upwards");
  heads[3].querySelector("button").click();
  check(rises(column(3), -1) && heads[3].getAttribute("aria-sort") === "descending", "sparsity does not sort downwards");
  heads[0].querySelector("button").click();
  check(!heads[3].hasAttribute("aria-sort") && /^dense/.test(body.rows[0].textContent), "trials do not sort by name");
  check(body.rows.length === rows, "sorting loses rows");
  check(heads[8].querySelector("button").tabIndex === 0, "a heading can't be reached by keyboard");
  check(document.querySelectorAll(".wide[tabindex='0']").length === 3, "a wide table can't be scrolled by keyboard");
  function shown(element) { return element.getBoundingClientRect().width > 0; }
  function plots() { return Array.prototype.filter.call(document.querySelectorAll("figure svg.plot"), shown); }
  var buttons = document.querySelectorAll(".choose button");
  check(buttons.length === 5 && shown(buttons[0]), "the axes can't be chosen");
  Array.prototype.forEach.call(buttons, function (button) {
    button.click();
    check(button.getAttribute("aria-pressed") === "true" && shown(document.getElementById(button.getAttribute("aria-controls"))),
      button.textContent + " can't be chosen");
    check(plots().length === 4, plots().length + " plots, not 4");
  });
  plots().forEach(function (plot) {
    var box = plot.getBoundingClientRect(), texts = [];
    check(plot.querySelectorAll(".point").length > 3, "a plot has no points");
    Array.prototype.forEach.call(plot.querySelectorAll("text"), function (text) {
      var at = text.getBoundingClientRect();
      check(at.left >= box.left - 1 && at.right <= box.right + 1 && at.bottom <= box.bottom + 1, text.textContent + " is cut");
      check(at.height > 8, text.textContent + " is too small to read");
      texts.forEach(function (other) {
        check(at.left >= other.right || at.right <= other.left || at.top + 4 >= other.bottom || at.bottom <= other.top + 4,
          text.textContent + " collides with another text");
      });
      texts.push(at);
    });
  });
  var mark = plots()[0].querySelector(".point"), tip = document.getElementById("tip");
  mark.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  check(shown(tip) && /test accuracy [0-9.]+/.test(tip.textContent), "a mark does not say what it is");
  check(tip.getBoundingClientRect().right <= innerWidth, "what a mark says is cut");
  document.body.click();
  check(!shown(tip), "what a mark says stays");
  check(document.documentElement.scrollWidth <= innerWidth, "the page is " + document.documentElement.scrollWidth + " wide, the window " + innerWidth);
  check(document.title.indexOf("<" + "/script>") === 0, "the title is " + document.title);
  check(performance.getEntriesByType("resource").length === 0, "the page fetches something");
  check(plots()[0].querySelectorAll(".point").length > 10, "the drawing has no points");
}
</script>
HTML
page=$work/study/report.html
awk -v watch="$work/watch.html" -v last="$work/read.html" '
    function put(file, line) { while ((getline line < file) > 0) print line; close(file) }
    /^<title>/ { put(watch) }
    /^<\/body>/ { put(last) }
    { print }' "$page" >"$work/watched.html"

browse() { # WIDTH [OPTION...]: what the page says of itself
    # in a frame, since a browser's own window is never as narrow as a phone
    cat >"$work/frame.html" <<HTML
<!DOCTYPE html><meta name="color-scheme" content="light dark"><p id="seen"></p>
<script>addEventListener("message", function (e) { document.getElementById("seen").textContent = e.data; });</script>
<iframe src="watched.html" width="$1" height="1200" style="border:0"></iframe>
HTML
    shift
    rm -rf "$work/profile"
    "$chromium" --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --user-data-dir="$work/profile" --window-size=1400,1300 \
        --virtual-time-budget=10000 --dump-dom "$@" "file://$work/frame.html" 2>"$work/stderr" |
        sed -n 's|.*<p id="seen">\([^<]*\)</p>.*|\1|p'
}
status=0
expect() { # WANTED GOT
    [ "$2" = "$1" ] || { echo "test_page.sh: want '$1', got '$2'" >&2; status=1; }
}
expect "width 1200 dark false: all is well" "$(browse 1200)"
expect "width 390 dark false: all is well" "$(browse 390)"
expect "width 1200 dark true: all is well" "$(browse 1200 --blink-settings=preferredColorScheme=0)"

# Without scripts the essentials are there: a drawing with its points, and every figure in a table.
grep -q '<svg class="plot large"' "$page" || { echo "test_page.sh: no drawing without scripts" >&2; status=1; }
grep -q 'l2-filter 0.25.*diverged.*loss is nan at step 3' "$page" || { echo "test_page.sh: no word on what diverged" >&2; status=1; }
exit $status
