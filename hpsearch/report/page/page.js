"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const coarse = matchMedia("(pointer: coarse)").matches;

  // What comes from outside reaches Plotly escaped, as it reads a little HTML in its texts.
  const escaped = (text) => String(text)
    .replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")
    .replace(/\$/g, "&#36;");  // between two of which Plotly looks for LaTeX
  const cut = (text, letters) => text.length > letters ? text.slice(0, letters - 1) + "\u2026" : text;
  const colour = (role) => getComputedStyle(root).getPropertyValue("--" + role).trim();
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  // Theme

  const remembered = { get: () => null, set: () => {} };
  try {  // a page opened from a file may have no storage
    remembered.get = () => localStorage.getItem("hpsearch-theme");
    remembered.set = (theme) => { try { localStorage.setItem("hpsearch-theme", theme); } catch { } };
    const before = remembered.get();
    if (before) root.dataset.theme = before;
  } catch { }
  const system = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => root.dataset.theme || (system.matches ? "dark" : "light");
  const themeButton = document.getElementById("theme");
  const showTheme = () => {
    themeButton.textContent = theme() === "dark" ? "Light" : "Dark";
    for (const redraw of drawn.values()) redraw();
  };
  themeButton.addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    remembered.set(root.dataset.theme);
    showTheme();
  });
  system.addEventListener("change", showTheme);

  // Pictures

  const drawn = new Map();   // plot element -> what draws it again
  const marked = new Map();  // plot element -> what shows one trial in it
  let chosen = null;

  const hover = (trial) => {
    const told = data.trials[trial];
    if (!told) return "";
    const lines = ["<b>trial " + trial + "</b>: " + escaped(told.score)];
    for (const each of told.setting.slice(0, 14)) lines.push(escaped(cut(each, 60)));
    if (told.setting.length > 14) lines.push("\u2026");
    if (told.message) lines.push(escaped(cut(told.message, 80)));
    return lines.join("<br>");
  };

  const label = (mark) => mark.label || data.roles[mark.role];
  const symbols = { dot: "circle", cross: "x-thin", square: "square-open", end: "line-ns" };
  const widths = { best: 3, top: 1.6, middle: 1.1, rest: 1, plain: 1.5, lost: 1 };

  // On a linear axis the browser cannot place what is so many times its length away.
  const FAR = 1e9;
  const near = (values, side, log) => log && side.measured ? values : values.map((value) =>
    value === null || Math.abs(value - side.low) <= FAR * (side.high - side.low) ? value : null);

  function trace(mark, visible, panel, log) {
    const shade = colour(mark.role);
    const made = {
      type: "scatter", name: escaped(label(mark)), showlegend: false, visible,
      x: [], y: [], customdata: [], text: [], hovertemplate: "%{text}<extra></extra>",
    };
    if (mark.kind === "lines") {
      for (const line of mark.lines) {
        const text = line.trial === null ? "" : hover(line.trial);
        const y = near(line.y, panel.y, log);
        for (let i = 0; i < line.x.length; i++) {
          made.x.push(line.x[i]); made.y.push(y[i]);
          made.customdata.push(line.trial); made.text.push(text);
        }
        made.x.push(null); made.y.push(null); made.customdata.push(null); made.text.push("");
      }
      made.mode = "lines";
      made.line = { color: shade, width: widths[mark.role] || 1, dash: mark.role === "plain" ? "dash" : "solid" };
      made.opacity = mark.role === "best" ? 1 : 0.75;
      if (mark.lines.every((line) => line.trial === null)) {
        made.hovertemplate = "%{y:.4g}<extra>" + made.name + "</extra>";
        if (mark.role === "plain") made.hoverinfo = "skip", delete made.hovertemplate;
      }
    } else if (mark.kind === "points") {
      made.x = near(mark.x, panel.x, false); made.y = near(mark.y, panel.y, log);
      made.customdata = mark.trials;
      made.text = mark.trials.map(hover);
      made.mode = "markers";
      const thin = mark.shape === "cross" || mark.shape === "end";
      made.marker = {
        color: shade, symbol: symbols[mark.shape], opacity: mark.role === "rest" ? 0.8 : 1,
        size: mark.role === "best" ? 12 : mark.shape === "square" ? 9 : 7,
        line: thin ? { color: shade, width: 2 }
          : mark.shape === "dot" ? { color: colour("paper"), width: 0.7 } : {},
      };
      if (!mark.trials.length) made.hoverinfo = "skip", delete made.hovertemplate;
    } else if (mark.kind === "bars") {
      Object.assign(made, {
        type: "bar", orientation: "h", x: mark.lengths, y: mark.y, marker: { color: shade },
        error_x: { type: "data", array: mark.errors, color: colour("ink"), thickness: 1.5, width: 4 },
        hovertemplate: "%{x:.3f} \u00b1 %{customdata:.3f}<extra></extra>", customdata: mark.errors,
        width: 0.65,
      });
    }
    return made;
  }

  function axis(side, log) {
    const made = {
      title: { text: escaped(side.label), font: { size: 13 }, standoff: 12 }, range: [side.low, side.high],
      gridcolor: colour("line"), zeroline: false, ticklabeloverflow: "allow", linecolor: colour("line"), automargin: true,
    };
    if (side.ticks) {
      made.tickmode = "array";
      made.tickvals = side.ticks.map((tick) => tick[0]);
      made.ticktext = side.ticks.map((tick) => escaped(cut(tick[1], side.letters)));
    }
    if (log && side.measured) {
      made.type = "log";
      const low = side.low > 0 ? side.low : log;
      made.range = [Math.log10(low), Math.log10(Math.max(side.high, low * 10))];
      made.dtick = made.range[1] - made.range[0] > 1 ? 1 : undefined;
    }
    return made;
  }

  // The lowest positive number of a measured side, which a log axis begins at.
  function lowest(panels) {
    let low = Infinity;
    for (const panel of panels) {
      for (const mark of panel.marks) {
        const values = mark.kind === "lines" ? mark.lines.flatMap((line) => line.y) : mark.y || [];
        for (const value of values) if (value > 0 && value < low) low = value;
      }
    }
    return low * 0.9;
  }

  function layout(panel, log, several) {
    const made = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
      font: { color: colour("ink"), size: 12, family: getComputedStyle(document.body).fontFamily },
      margin: { l: 48, r: 20, t: several ? 8 : 28, b: 40 }, dragmode: coarse ? false : "zoom", hoverdistance: 12,
      hoverlabel: { align: "left", bgcolor: colour("raised"), bordercolor: colour("line"), font: { color: colour("ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("ink") },
      xaxis: axis(panel.x), yaxis: axis(panel.y, log), shapes: [], annotations: [], bargap: 0.3,
    };
    for (const mark of panel.marks) {
      if (mark.kind !== "boxes") continue;
      mark.low.forEach((low, i) => made.shapes.push({
        type: "rect", xref: "x", yref: "paper", x0: low, x1: mark.high[i], y0: 0, y1: 1,
        fillcolor: colour("box"), opacity: 0.1, line: { width: 0 }, layer: "below",
      }));
    }
    if (panel.uprights.length) {
      Object.assign(made.xaxis, { showgrid: false, side: "top", fixedrange: true, linewidth: 0, linecolor: "rgba(0,0,0,0)" });
      Object.assign(made.yaxis, { showgrid: false, fixedrange: true, showticklabels: false, linecolor: "rgba(0,0,0,0)" });
      made.margin = { l: 16, r: 16, t: 36, b: 8 };
      panel.uprights.forEach((upright, i) => {
        made.shapes.push({
          type: "line", x0: i, x1: i, y0: upright.low, y1: 1, line: { color: colour("soft"), width: 1.2 },
        });
        for (const [at, text] of upright.ticks || []) {
          made.annotations.push({
            x: i, y: at, text: escaped(cut(text, upright.letters)), showarrow: false, xanchor: "left",
            xshift: 3, font: { size: 11, color: colour("ink") }, bgcolor: colour("paper"), opacity: 0.85,
            borderpad: 1,
          });
        }
      });
    }
    return made;
  }

  const found = (panel, trial, log) => {
    const x = [], y = [];
    for (const mark of panel.marks) {
      if (mark.kind === "lines") {
        for (const line of mark.lines) {
          if (line.trial === trial) { x.push(...line.x, null); y.push(...line.y, null); }
        }
      } else if (mark.kind === "points") {
        mark.trials.forEach((each, i) => {
          if (each === trial) { x.push(mark.x[i], null); y.push(mark.y[i], null); }
        });
      }
    }
    return { x: near(x, panel.x, false), y: near(y, panel.y, log) };
  };

  function plot(plotElement, panel, state, several) {
    let shown = null;
    const draw = () => {
      const traces = panel.marks.filter((mark) => mark.kind !== "boxes")
        .map((mark) => trace(mark, !state.hidden.has(label(mark)), panel, state.log));
      const { x, y } = shown === null ? { x: [], y: [] } : found(panel, shown, state.log);
      traces.push({
        type: "scatter", mode: "lines+markers", x, y, showlegend: false, hoverinfo: "skip",
        line: { color: colour("hot"), width: 2.5 },
        marker: { color: colour("hot"), size: 5 },
      });
      return Plotly.react(plotElement, traces, layout(panel, state.log, several), {
        responsive: true, displaylogo: false, displayModeBar: !coarse && !several && !panel.uprights.length,
        modeBarButtons: [["toImage", "zoom2d", "pan2d", "autoScale2d", "resetScale2d"]],
      });
    };
    const mark = (trial) => {
      if (trial === shown) return;
      shown = trial;
      const { x, y } = trial === null ? { x: [], y: [] } : found(panel, trial, state.log);
      const last = plotElement.data.length - 1;
      Plotly.restyle(plotElement, { x: [x], y: [y] }, [last]);
    };
    shown = chosen;
    draw();
    drawn.set(plotElement, draw);
    marked.set(plotElement, mark);
    const trialOf = (event) => {
      const trial = event.points[0].customdata;
      return event.points[0].data.type === "bar" || trial === undefined ? null : trial;
    };
    plotElement.on("plotly_hover", (event) => {
      const trial = trialOf(event);
      if (trial !== null && chosen === null) requestAnimationFrame(() => mark(trial));
    });
    plotElement.on("plotly_unhover", () => requestAnimationFrame(() => mark(chosen)));
    plotElement.on("plotly_click", (event) => choose(trialOf(event)));
  }

  function legend(panel, state, redraw) {
    const box = element("div", { className: "legend" });
    const seen = new Set();
    for (const mark of [...panel.marks].reverse()) {
      const text = label(mark);
      if (!text || seen.has(text)) continue;
      seen.add(text);
      const shape = mark.kind === "lines" ? "line" : mark.shape || "";
      const key = element("i", { className: shape, textContent: { cross: "\u00d7", end: "|" }[shape] || "" });
      const set = () => {
        key.style.background = key.style.color = key.style.borderColor = "var(--" + mark.role + ")";
        button.setAttribute("aria-pressed", String(!state.hidden.has(text)));
      };
      const button = element("button", { type: "button", title: "Show or hide" }, key, text);
      if (mark.kind === "boxes") button.disabled = true;
      button.addEventListener("click", () => {
        if (!state.hidden.delete(text)) state.hidden.add(text);
        set();
        redraw();
      });
      set();
      box.append(button);
    }
    return seen.size > 1 ? box : "";
  }

  function show(place, picture) {
    const state = { log: 0, hidden: new Set(), panel: 0 };
    const controls = element("div", { className: "controls" });
    const several = !picture.choose && picture.panels.length > 1;
    const panels = element("div", { className: "panels" + (!several ? "" : picture.panels.length === 2 ? " several two" : " several") + (picture.wide ? " wide" : "") });
    const render = () => {
      for (const old of panels.querySelectorAll(".plot")) {
        Plotly.purge(old);
        drawn.delete(old);
        marked.delete(old);
      }
      panels.replaceChildren();
      const shown = picture.choose ? [picture.panels[state.panel]] : picture.panels;
      const redraw = () => panels.querySelectorAll(".plot").forEach((each) => drawn.get(each)());
      key.replaceChildren(legend(shown[0], state, redraw));
      for (const panel of shown) {
        const plotElement = element("div", { className: "plot" });
        const caption = several && panel.title && panel.title !== panel.x.label ? panel.title : "";
        const figure = element("figure", {}, plotElement);
        const words = [caption, panel.note].filter(Boolean).join(": ");
        if (words) figure.append(element("figcaption", { textContent: words }));
        panels.append(figure);
        plot(plotElement, panel, state, several);
      }
    };
    const key = element("div");
    if (picture.choose && picture.panels.length > 1) {
      const select = element("select", { ariaLabel: "What is shown" });
      picture.panels.forEach((panel, i) => select.append(element("option", { value: i, textContent: panel.title })));
      select.addEventListener("change", () => { state.panel = Number(select.value); render(); });
      controls.append(select);
    }
    const low = lowest(picture.panels);
    if (picture.panels.some((panel) => panel.y.measured) && Number.isFinite(low)) {
      const box = element("input", { type: "checkbox" });
      box.addEventListener("change", () => {
        state.log = box.checked ? low : 0;
        panels.querySelectorAll(".plot").forEach((each) => drawn.get(each)());
      });
      controls.append(element("label", {}, box, " log scale"));
    }
    place.append(controls, key, panels);
    render();
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting || entry.target.dataset.drawn) continue;
      entry.target.dataset.drawn = "yes";
      entry.target.style.minHeight = "";
      show(entry.target, data.pictures[entry.target.dataset.picture]);
    }
  }, { rootMargin: "400px" });
  for (const place of document.querySelectorAll(".picture")) {
    place.style.minHeight = "24rem";
    watcher.observe(place);
  }

  // One trial, in the table and in every picture

  const card = element("div", { id: "chosen", role: "status" });
  document.body.append(card);

  function choose(trial) {
    chosen = trial === chosen ? null : trial;
    card.classList.toggle("shown", chosen !== null);
    const told = data.trials[chosen];
    const text = chosen === null ? "" : "Trial " + chosen + (told
      ? ": " + told.score + ". " + told.setting.join(", ") + (told.message ? ". " + told.message : "")
      : ": the pictures leave it out, as there are many.");
    const close = element("button", { type: "button", textContent: "\u00d7", title: "Close" });
    close.addEventListener("click", () => choose(chosen));
    card.replaceChildren(element("span", { textContent: text }), close);
    for (const mark of marked.values()) mark(chosen);
    for (const row of document.querySelectorAll("#board tbody tr")) {
      row.classList.toggle("chosen", Number(row.dataset.trial) === chosen && chosen !== null);
    }
  }

  // Leaderboard

  if (data.table) {
    const { columns, rows, keys } = data.table;
    const board = document.getElementById("board");
    const filter = document.getElementById("filter");
    const more = document.getElementById("more");
    const trialAt = columns.findIndex((column) => column.name === "trial");
    const head = element("tr");
    const body = element("tbody");
    board.append(element("thead", {}, head), body);
    let order = rows.map((_, i) => i);
    let limit = 25;

    const fill = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      const kept = order.filter((i) => words.every((word) => rows[i].some((cell) => cell.toLowerCase().includes(word))));
      body.replaceChildren(...kept.slice(0, limit).map((i) => {
        const row = element("tr", { tabIndex: 0 });
        row.dataset.trial = rows[i][trialAt];
        row.classList.toggle("chosen", chosen !== null && Number(rows[i][trialAt]) === chosen);
        rows[i].forEach((cell, j) => row.append(element("td", {
          textContent: cell, className: columns[j].numeric ? "number" : "", title: cell.length > 40 ? cell : "",
        })));
        row.addEventListener("click", () => choose(Number(rows[i][trialAt])));
        row.addEventListener("keydown", (event) => { if (event.key === "Enter") row.click(); });
        return row;
      }));
      const shown = Math.min(limit, kept.length);
      document.getElementById("count").textContent =
        shown.toLocaleString("en") + " of " + rows.length.toLocaleString("en") + (rows.length === 1 ? " trial" : " trials");
      more.hidden = shown === kept.length;
    };

    const sort = (j, descending) => {
      const way = descending ? -1 : 1;
      const missing = (i) => columns[j].numeric ? keys[i][j] === null : rows[i][j] === "-";
      order = rows.map((_, i) => i).sort((a, b) => {
        if (missing(a) || missing(b)) return missing(a) - missing(b) || a - b;
        const by = columns[j].numeric ? keys[a][j] - keys[b][j] : rows[a][j].localeCompare(rows[b][j], "en");
        return way * by || a - b;
      });
      fill();
    };
    columns.forEach((column, j) => {
      const button = element("button", { type: "button", textContent: column.name });
      const heading = element("th", { className: column.numeric ? "number" : "", scope: "col" }, button);
      button.addEventListener("click", () => {
        const descending = heading.getAttribute("aria-sort") === "ascending";
        for (const other of head.children) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sort(j, descending);
      });
      head.append(heading);
    });
    if (columns[0].name === "rank") head.children[0].setAttribute("aria-sort", "ascending");
    filter.addEventListener("input", () => { limit = 25; fill(); });
    more.addEventListener("click", () => { limit += 200; fill(); });
    fill();

    const around = board.parentElement;
    const cue = () => {
      document.getElementById("sideways").hidden = around.scrollWidth <= around.clientWidth;
    };
    addEventListener("resize", cue);
    cue();
  }

  showTheme();
})();
