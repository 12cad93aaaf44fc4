(function () {
  "use strict";
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

  document.documentElement.classList.add("js");

  /* -- plots: a row of buttons, one of them pressed, its plot shown -- */
  document.querySelectorAll(".choose").forEach(function (row) {
    var buttons = Array.from(row.children);
    row.addEventListener("click", function (event) {
      if (buttons.indexOf(event.target) < 0) return;
      buttons.forEach(function (button) {
        button.setAttribute("aria-pressed", button === event.target);
        document.getElementById(button.getAttribute("aria-controls")).hidden = button !== event.target;
      });
    });
  });

  /* -- plots: what a mark is, on hovering or tapping -- */
  var tip = document.getElementById("tip");
  document.querySelectorAll(".plot .point > title").forEach(function (title) {
    title.parentNode.about = title.textContent;
    title.remove();
  });
  function tell(event) {
    tip.hidden = !event.target.about;
    if (tip.hidden) return;
    tip.textContent = event.target.about;
    var mark = event.target.getBoundingClientRect(), right = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = Math.max(8, Math.min(right, mark.left + 12)) + scrollX + "px";
    tip.style.top = Math.max(8, mark.top - tip.offsetHeight - 8) + scrollY + "px";
  }
  document.addEventListener("pointerover", tell);
  document.addEventListener("click", tell);
})();
