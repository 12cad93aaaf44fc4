(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("data").textContent);
  var root = document.documentElement;

  /* -- table: each heading becomes a button; numbers sort as numbers, empty cells go last -- */
  Array.prototype.forEach.call(document.querySelectorAll("table.sortable"), function (table) {
    var body = table.tBodies[0];
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.textContent = "";
      head.appendChild(button);
      button.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        Array.prototype.forEach.call(table.tHead.rows[0].cells, function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down > 0 ? "ascending" : "descending");
        var rows = Array.prototype.map.call(body.rows, function (row, i) {
          return { row: row, i: i, text: row.cells[column].getAttribute("data-v") || row.cells[column].textContent.trim() };
        });
        rows.sort(function (a, b) {
          if (!a.text || !b.text) return (a.text ? 0 : 1) - (b.text ? 0 : 1) || a.i - b.i;
          var x = Number(a.text), y = Number(b.text);
          var order = isNaN(x) || isNaN(y) ? a.text.localeCompare(b.text) : x - y;
          return order * down || a.i - b.i;
        });
        rows.forEach(function (entry) { body.appendChild(entry.row); });
      });
    });
  });

  if (!window.Chart) return;
  root.classList.add("js");

  /* -- charts -- */
  var darkMedia = window.matchMedia("(prefers-color-scheme: dark)");
  var printing = false, cost = "epochs", scale = "sparsity", charts = [];
  var names = { epochs: "epochs after the dense net", macs: "training MACs after the dense net", seconds: "seconds after the dense net" };

  function ink(name) { return getComputedStyle(root).getPropertyValue("--" + name).trim(); }
  function dark() { return darkMedia.matches && !printing; }
  function colour(method) { return dark() ? method.dark : method.light; }
  function fixed(x, n) { return x === null || x === undefined ? "–" : x.toFixed(n); }
  function short(x) {
    var units = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
    for (var i = 0; i < units.length; i++)
      if (x >= units[i][0]) return +(x / units[i][0]).toPrecision(3) + " " + units[i][1];
    return String(+x.toPrecision(3));
  }

  function marks(method, points, x) {
    return {
      label: method.name, showLine: false, parsing: false,
      data: points.map(function (p) { return { x: x(p), y: p.test, of: p }; }),
      pointStyle: method.shape, rotation: method.turn, pointRotation: method.turn,
      borderColor: colour(method), borderWidth: 1.6, pointBorderColor: colour(method),
      pointBackgroundColor: points.map(function (p) { return p.tuned ? colour(method) : ink("page"); }),
      backgroundColor: colour(method), radius: 5.5, hoverRadius: 8, hitRadius: 8, clip: { left: 9, right: 9, top: 9, bottom: 0 }
    };
  }
  function line(y, x0, x1, dash) {
    return { label: "", data: [{ x: x0, y: y }, { x: x1, y: y }], showLine: true, pointRadius: 0, pointHitRadius: 0, pointHoverRadius: 0,
             borderColor: ink("soft"), borderWidth: 1, borderDash: dash, helper: true };
  }
  /* error bars, and the words on the two dashed lines */
  var extras = {
    id: "extras",
    afterDatasetsDraw: function (chart) {
      var c = chart.ctx, area = chart.chartArea, y = chart.scales.y, x = chart.scales.x;
      c.save();
      c.beginPath(); c.rect(area.left - 9, area.top, area.right - area.left + 18, area.bottom - area.top); c.clip();
      chart.data.datasets.forEach(function (set) {
        set.data.forEach(function (p) {
          if (!p.of || !p.of.std) return;
          c.strokeStyle = set.borderColor; c.lineWidth = 1.2; c.beginPath();
          c.moveTo(x.getPixelForValue(p.x), y.getPixelForValue(p.y - p.of.std));
          c.lineTo(x.getPixelForValue(p.x), y.getPixelForValue(p.y + p.of.std)); c.stroke();
        });
      });
      c.fillStyle = ink("soft"); c.font = "12px " + Chart.defaults.font.family; c.textAlign = "right";
      if (data.dense !== null) c.fillText("dense " + data.dense.toFixed(3), area.right - 6, y.getPixelForValue(data.dense) - 5);
      c.textAlign = "left"; /* where little lies that low */
      c.fillText("floor " + data.floor.toFixed(2), area.left + 14, y.getPixelForValue(data.floor) - 5);
      c.restore();
    }
  };

  function axes(xTitle, yTitle, more) {
    var axis = { grid: { color: ink("line"), drawBorder: false }, ticks: { color: ink("soft"), maxRotation: 0 } };
    var x = Object.assign({ type: "linear", title: { display: true, text: xTitle, color: ink("soft") } }, JSON.parse(JSON.stringify(axis)));
    var y = Object.assign({ title: { display: true, text: yTitle, color: ink("soft") } }, JSON.parse(JSON.stringify(axis)));
    return more ? more(x, y) || { x: x, y: y } : { x: x, y: y };
  }
  function accuracyAxis(y) {
    y.min = data.range.low; y.max = data.range.high; y.ticks.stepSize = data.range.step;
    y.ticks.callback = function (v) { return v.toFixed(2); };
  }
  function tooltip(lines) {
    return { displayColors: false, backgroundColor: ink("ink"), titleColor: ink("page"), bodyColor: ink("page"), padding: 10, cornerRadius: 6,
             filter: function (item) { return !item.dataset.helper; },
             callbacks: { title: function (items) { return items.length ? items[0].raw.of.label : ""; }, label: function (item) { return lines(item.raw.of); } } };
  }
  function about(p) {
    return ["test accuracy " + fixed(p.test, 4) + (p.std ? " ± " + fixed(p.std, 4) : "") + ", validation " + fixed(p.val, 4),
            "sparsity " + fixed(p.sparsity, 4) + ", score " + fixed(p.score, 4),
            fixed(p.epochs, 1) + " epochs, " + short(p.macs) + " training MACs, " + short(p.seconds) + " s"];
  }
  function pointsOf(i) { return data.settings.filter(function (p) { return p.method === i; }); }
  function options(scales, lines) {
    return { animation: false, responsive: true, maintainAspectRatio: false, scales: scales,
             interaction: { mode: "nearest", intersect: true },
             plugins: { legend: { display: false }, tooltip: tooltip(lines) } };
  }

  /* on a logarithmic axis of what is left, .9 to .99 sparsity get as much room as 0 to .9 */
  function across(p) { return scale === "left" ? 1 - p.sparsity : p.sparsity; }
  function joined(points, more) {
    return Object.assign({ label: "", showLine: true, pointRadius: 0, pointHitRadius: 0, pointHoverRadius: 0, helper: true,
      data: points.slice().sort(function (a, b) { return a.sparsity - b.sparsity; }).map(function (p) { return { x: across(p), y: p.test }; }) }, more);
  }
  function drawFrontier(canvas) {
    var sets = data.methods.map(function (m, i) { return marks(m, m.name === "dense" ? [] : pointsOf(i), across); });
    data.methods.forEach(function (m, i) {
      sets.push(joined(pointsOf(i).filter(function (p) { return p.line; }), { borderColor: colour(m) + "99", borderWidth: 1 }));
    });
    sets.push(joined(data.settings.filter(function (p) { return p.frontier; }),
      { borderColor: ink("soft") + "59", borderWidth: 5, borderJoinStyle: "round", borderCapStyle: "round" }));
    var least = Math.min.apply(null, data.settings.map(function (p) { return 1 - p.sparsity; }).concat([0.1]));
    least = Math.max(least * 0.8, 1e-6);
    if (data.dense !== null) sets.push(line(data.dense, scale === "left" ? least : 0, 1, [5, 4]));
    sets.push(line(data.floor, scale === "left" ? least : 0, 1, [2, 4]));
    return new Chart(canvas, { type: "scatter", data: { datasets: sets }, plugins: [extras],
      options: options(axes(scale === "left" ? "share of all parameters that is left, logarithmic" : "sparsity: share of all parameters that are zero",
        "test accuracy", function (x, y) {
          accuracyAxis(y);
          x.max = 1;
          if (scale === "left") {
            x.type = "logarithmic"; x.reverse = true; x.min = least;
            x.ticks.callback = function (v) { return [1, 2, 5].indexOf(+(v / Math.pow(10, Math.floor(Math.log10(v) + 1e-9))).toPrecision(3)) < 0 ? "" : +(100 * v).toPrecision(3) + " %"; };
          } else {
            x.min = 0;
            x.ticks.callback = function (v) { return v.toFixed(1); };
          }
        }), about) });
  }

  function drawCost(canvas) {
    var top = Math.max.apply(null, data.settings.map(function (p) { return p.dense ? 0 : p[cost]; }).concat([0]));
    var sets = data.methods.map(function (m, i) { return marks(m, m.name === "dense" ? [] : pointsOf(i), function (p) { return p[cost]; }); });
    if (data.dense !== null) sets.push(line(data.dense, 0, top * 1.05 || 1, [5, 4]));
    sets.push(line(data.floor, 0, top * 1.05 || 1, [2, 4]));
    return new Chart(canvas, { type: "scatter", data: { datasets: sets }, plugins: [extras],
      options: options(axes(names[cost], "test accuracy", function (x, y) {
        x.min = 0; x.max = top * 1.05 || 1; x.ticks.includeBounds = false; accuracyAxis(y);
        x.ticks.callback = function (v) { return cost === "macs" ? short(v) : String(+v.toPrecision(6)); };
      }), about) });
  }

  function drawCurve(canvas, value, title) {
    var sets = data.curves.map(function (curve) {
      var m = data.methods[curve.method];
      return { label: curve.label, showLine: true, borderColor: colour(m), backgroundColor: colour(m), borderWidth: 2, tension: 0,
               pointStyle: m.shape, pointRotation: m.turn, radius: curve.epochs.length > 20 ? 0 : 3.5, hoverRadius: 6, hitRadius: 8,
               data: curve.epochs.filter(function (e) { return e[value] !== null; }).map(function (e) { return { x: e.epoch, y: e[value], of: { label: curve.label, e: e } }; }) };
    });
    return new Chart(canvas, { type: "scatter", data: { datasets: sets },
      options: options(axes("epoch", title, function (x) { x.min = 0; x.ticks.precision = 0; }),
        function (p) { return "epoch " + p.e.epoch + ": validation " + fixed(p.e.val, 4) + ", loss " + fixed(p.e.loss, 4); }) });
  }

  function draw() {
    charts.forEach(function (c) { c.destroy(); });
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    Chart.defaults.font.size = 12;
    var canvas = document.querySelector("#frontier canvas");
    if (!canvas) {
      canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", "Scatter plot of test accuracy against sparsity; the figures are in the table of trials");
      document.getElementById("frontier").appendChild(canvas);
    }
    charts = [drawFrontier(canvas), drawCost(document.getElementById("cost")),
              drawCurve(document.getElementById("curve-val"), "val", "validation accuracy"),
              drawCurve(document.getElementById("curve-loss"), "loss", "training loss")];
  }

  /* a row of buttons, one of them pressed */
  function choose(name, act) {
    var buttons = document.querySelectorAll("[data-" + name + "]");
    Array.prototype.forEach.call(buttons, function (button) {
      button.addEventListener("click", function () {
        Array.prototype.forEach.call(buttons, function (other) { other.setAttribute("aria-pressed", other === button); });
        act(button.getAttribute("data-" + name));
      });
    });
  }
  choose("cost", function (value) {
    cost = value;
    charts[1].destroy();
    charts[1] = drawCost(document.getElementById("cost"));
  });
  choose("scale", function (value) {
    scale = value;
    charts[0].destroy();
    charts[0] = drawFrontier(document.querySelector("#frontier canvas"));
  });
  if (darkMedia.addEventListener) darkMedia.addEventListener("change", draw);
  window.addEventListener("beforeprint", function () { printing = true; draw(); });
  window.addEventListener("afterprint", function () { printing = false; draw(); });
  draw();
})();
