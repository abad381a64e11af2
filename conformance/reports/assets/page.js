"use strict";
// The matrix. Everything that comes from the data becomes text nodes and attributes, never markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const verdicts = new Map(data.verdicts.map((verdict) => [verdict.id, verdict]));
  const loaders = data.loaders;
  const cases = new Map(data.areas.flatMap((area) => area.cases.map((found) => [found.id, found])));
  const few = loaders.length <= 4;
  const $ = (id) => document.getElementById(id);
  const matrix = $("matrix");
  const panel = $("panel");

  // What the address keeps: the filters, the folds that are open, and the cell that is shown.
  const state = {
    text: "", areas: new Set(), verdicts: new Set(), severities: new Set(), open: new Set(), case: "", loader: "",
  };
  const SETS = { area: "areas", verdict: "verdicts", severity: "severities", open: "open" };
  const WORDS = { text: "text", case: "case", loader: "loader" };

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  const counted = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
  const chip = (id) => make("span", { class: `mark v-${id}`, "aria-hidden": "true" }, verdicts.get(id).mark);
  const chips = (id) => make("span", { class: "chip" }, chip(id), verdicts.get(id).name);

  // ---- The head of the page --------------------------------------------------------------------------------------

  function buildMade() {
    const days = data.days.join(" to ");
    const loaded = counted(loaders.length, "loader");
    $("made").append(
      `${loaded}, ${counted(cases.size, "case")}. Suite ${data.suite}, corpus `, make("code", {}, data.corpus), `, ${days}.`,
    );
  }

  function buildSummary() {
    const shown = data.verdicts.filter(
      ({ id }) => !["adapter_error", "suite_error"].includes(id) || loaders.some((loader) => loader.counts[id]),
    );
    const head = make("tr", {}, make("th", { scope: "col" }, "Loader"), make("th", { scope: "col" }, "Conformant"));
    for (const { id, name } of shown) {
      head.append(make("th", { scope: "col", class: "number" }, chip(id), make("span", { class: "name" }, name)));
    }
    const body = make("tbody");
    for (const loader of loaders) body.append(summaryRow(loader, shown));
    $("summary").append(make("thead", {}, head), body);
  }

  function summaryRow(loader, shown) {
    const run = [loader.language, ...loader.packages].filter(Boolean).join(", ");
    const name = make("th", { scope: "row" }, make("span", { class: "loader" }, loader.name), " ",
      make("span", { class: "version" }, loader.version));
    name.append(make("div", { class: "quiet" }, run));
    const standing = make("td", { class: `standing s-${loader.standing.kind}` }, loader.standing.text);
    for (const remark of loader.remarks) standing.append(make("div", { class: "quiet" }, remark));
    const row = make("tr", {}, name, standing);
    for (const { id } of shown) {
      const number = loader.counts[id];
      const tile = number && id !== "not_claimed" && id !== "pass";
      row.append(make("td", { class: number ? "number" : "number zero" },
        tile ? make("span", { class: `mark v-${id}` }, String(number)) : String(number)));
    }
    return row;
  }

  function buildLegend() {
    for (const { id, name, meaning } of data.verdicts) {
      $("legend").append(make("div", {}, make("dt", {}, chip(id), name), make("dd", {}, meaning)));
    }
    const absent = make("dt", {}, make("span", { class: "mark v-none", "aria-hidden": "true" }, "·"), "not run");
    $("legend").append(make("div", {}, absent, make("dd", {}, "The report of the loader does not have this case.")));
  }

  // ---- Filters ---------------------------------------------------------------------------------------------------

  function buildFilter(id, key, values, label) {
    for (const [value, number] of values) {
      const button = make("button", { type: "button", class: "toggle", "aria-pressed": "false", "data-value": value },
        ...label(value), make("span", { class: "count" }, String(number)));
      button.addEventListener("click", () => {
        if (!state[key].delete(value)) state[key].add(value);
        changed();
      });
      $(id).append(button);
    }
  }

  function buildFilters() {
    const every = [...cases.values()];
    const number = (test) => every.filter(test).length;
    buildFilter("areas", "areas", data.areas.map(({ name, cases: found }) => [name, found.length]), (name) => [name]);
    const occurring = data.verdicts
      .map(({ id }) => [id, number((found) => found.cells.some((cell) => cell && cell.verdict === id))])
      .filter(([, count]) => count);
    buildFilter("verdicts", "verdicts", occurring, (id) => [chip(id), verdicts.get(id).name]);
    const known = new Set([...data.severities, ...every.map((found) => found.severity)]);
    const severities = [...known].map((name) => [name, number((found) => found.severity === name)]);
    buildFilter("severities", "severities", severities.filter(([, count]) => count), (name) => [name]);
    $("text").addEventListener("input", () => {
      state.text = $("text").value;
      changed();
    });
    $("clear").addEventListener("click", () => {
      state.text = "";
      for (const key of ["areas", "verdicts", "severities"]) state[key].clear();
      changed();
    });
    $("unfold").addEventListener("click", () => {
      const all = blocks.every(({ area }) => state.open.has(area.name));
      state.open = new Set(all ? [] : blocks.map(({ area }) => area.name));
      changed();
    });
  }

  // ---- The matrix ------------------------------------------------------------------------------------------------

  const blocks = []; // by area: its three bodies, its rows, and the button that folds
  const rowOf = new Map(); // by case id
  let visible = []; // the rows that the arrow keys walk, in order

  function buildMatrix() {
    const head = make("tr", {}, make("th", { scope: "col", class: "corner" }, "Case"));
    loaders.forEach((loader, column) => {
      const name = make("span", { class: "upright" }, make("b", {}, loader.name), " ", make("small", {}, loader.version));
      head.append(make("th", { scope: "col", "data-column": column, title: loader.key }, name));
    });
    matrix.classList.toggle("few", few);
    matrix.append(make("thead", {}, head));
    for (const area of data.areas) buildArea(area);
  }

  function buildArea(area) {
    const width = loaders.length + 1;
    const head = make("tbody", { class: "area" });
    const told = make("span", { class: "quiet" });
    head.append(make("tr", {}, make("th", { colspan: width, scope: "rowgroup" },
      make("span", { class: "area-name" }, make("b", {}, area.name), told))));
    const fold = make("button", { type: "button", class: "fold", "aria-expanded": "false" });
    const line = make("tbody", { class: "line" }, make("tr", {}, make("th", { colspan: width }, fold)));
    const alike = make("tbody", { class: "alike" });
    const rows = area.cases.map((found) => {
      const row = buildRow(found);
      (found.alike ? alike : head).append(row.element);
      rowOf.set(found.id, row);
      return row;
    });
    fold.addEventListener("click", () => {
      if (!state.open.delete(area.name)) state.open.add(area.name);
      changed();
    });
    blocks.push({ area, head, line, alike, told, fold, rows });
    matrix.append(head, line, alike);
  }

  function buildRow(found) {
    const facts = make("span", { class: "facts" }, make("code", {}, found.id), make("span", {}, found.severity));
    const element = make("tr", {}, make("th", { scope: "row", title: found.title },
      make("span", { class: "title" }, found.title), facts));
    found.cells.forEach((cell, column) => element.append(buildCell(found, cell, column)));
    const said = new Set(found.cells.filter(Boolean).map((cell) => cell.verdict));
    return { found, element, said, words: `${found.id} ${found.title}`.toLowerCase() };
  }

  function buildCell(found, cell, column) {
    const element = document.createElement("td");
    element.tabIndex = -1;
    element.dataset.column = column;
    element.dataset.case = found.id;
    element.className = `v-${cell ? cell.verdict : "none"}`;
    const { mark, name } = cell ? verdicts.get(cell.verdict) : { mark: "·", name: "not run" };
    element.setAttribute("aria-label", name);
    element.textContent = few ? `${mark} ${name}` : mark;
    return element;
  }

  // ---- What is shown ---------------------------------------------------------------------------------------------

  function matches({ found, said, words }, wanted) {
    const area = found.id.split("/")[0];
    return (!state.areas.size || state.areas.has(area))
      && (!state.severities.size || state.severities.has(found.severity))
      && (!state.verdicts.size || [...state.verdicts].some((verdict) => said.has(verdict)))
      && wanted.every((word) => words.includes(word));
  }

  function show() {
    const wanted = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    visible = [];
    let left = 0;
    for (const block of blocks) left += showBlock(block, wanted);
    $("shown").value = left === cases.size ? counted(left, "case") : `${left} of ${counted(cases.size, "case")}`;
    $("none").hidden = left > 0;
    matrix.hidden = left === 0;
    for (const [id, key] of [["areas", "areas"], ["verdicts", "verdicts"], ["severities", "severities"]]) {
      for (const button of $(id).children) button.setAttribute("aria-pressed", state[key].has(button.dataset.value));
    }
    if ($("text").value !== state.text) $("text").value = state.text;
    $("clear").disabled = !(state.text || state.areas.size || state.verdicts.size || state.severities.size);
    const all = blocks.every(({ area }) => state.open.has(area.name));
    $("unfold").setAttribute("aria-pressed", all);
    rove();
  }

  function showBlock({ area, head, line, alike, told, fold, rows }, wanted) {
    const kept = rows.filter((row) => {
      row.element.hidden = !matches(row, wanted);
      return !row.element.hidden;
    });
    const apart = kept.filter(({ found }) => !found.alike);
    const same = kept.filter(({ found }) => found.alike);
    // Who looks for words looks for one case: it is not left in a fold.
    const open = state.open.has(area.name) || wanted.length > 0;
    head.hidden = kept.length === 0;
    line.hidden = same.length === 0;
    alike.classList.toggle("folded", !open);
    told.textContent = loaders.length > 1
      ? `${counted(kept.length, "case")}, ${apart.length} tell the loaders apart` : counted(kept.length, "case");
    fold.setAttribute("aria-expanded", open);
    fold.replaceChildren(...foldLabel(same, open));
    visible.push(...apart, ...(open ? same : []));
    return kept.length;
  }

  function foldLabel(same, open) {
    const found = new Map();
    for (const { said } of same) {
      const verdict = [...said].find((each) => each !== "not_claimed") || "not_claimed";
      found.set(verdict, (found.get(verdict) || 0) + 1);
    }
    const told = data.verdicts.filter(({ id }) => found.has(id)).map(({ id }) => {
      const part = chips(id);
      part.append(` ${found.get(id)}`);
      return part;
    });
    const what = loaders.length > 1 ? "on which all loaders agree" : "passed, or not claimed";
    return [make("span", { class: "arrow", "aria-hidden": "true" }, open ? "▾" : "▸"), `${counted(same.length, "case")} ${what}`, ...told];
  }

  // One cell of the grid takes part in the tab order, the one that was used last.
  let current = null;
  function rove(cell) {
    if (!cell && current && visible.some(({ element }) => element === current.parentElement)) return;
    if (current) current.tabIndex = -1;
    current = cell || (visible.length ? visible[0].element.cells[1] : null);
    if (current) current.tabIndex = 0;
  }

  function move(cell, down, right) {
    const row = visible.findIndex(({ element }) => element === cell.parentElement);
    const next = visible[Math.min(Math.max(row + down, 0), visible.length - 1)].element;
    const column = Math.min(Math.max(cell.cellIndex + right, 1), loaders.length);
    rove(next.cells[column]);
    current.focus();
  }

  const STEPS = {
    ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    Home: [0, -Infinity], End: [0, Infinity], PageUp: [-10, 0], PageDown: [10, 0],
  };

  function onKey(event) {
    const cell = event.target.closest("td[data-case]");
    if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") choose(cell);
    else if (STEPS[event.key]) move(cell, ...STEPS[event.key]);
    else return;
    event.preventDefault();
  }

  function choose(cell) {
    rove(cell);
    state.case = cell.dataset.case;
    state.loader = loaders[Number(cell.dataset.column)].key;
    changed(true);
    $("panel-title").focus();
  }

  function point(event) {
    const cell = event.target.closest("td[data-case]");
    const column = cell ? cell.dataset.column : null;
    for (const head of matrix.tHead.rows[0].cells) head.classList.toggle("pointed", head.dataset.column === column);
    if (cell && !cell.title) cell.title = `${loaders[Number(column)].key}: ${cell.getAttribute("aria-label")}`;
  }

  // ---- The panel -------------------------------------------------------------------------------------------------

  const shownCell = () => {
    const row = rowOf.get(state.case);
    const column = loaders.findIndex(({ key }) => key === state.loader);
    return row && column >= 0 ? { row, column, element: row.element.cells[column + 1] } : null;
  };

  function showPanel() {
    for (const cell of matrix.querySelectorAll("td[aria-selected]")) cell.removeAttribute("aria-selected");
    const chosen = shownCell();
    panel.hidden = !chosen;
    measure();
    if (!chosen) {
      panel.replaceChildren();
      return;
    }
    chosen.element.setAttribute("aria-selected", "true");
    panel.replaceChildren(...panelContent(chosen.row.found, chosen.column));
    panel.scrollTop = 0;
    bringIntoView(chosen.element);
  }

  function bringIntoView(cell) {
    const { top, bottom } = cell.getBoundingClientRect();
    const seen = top > matrix.tHead.offsetHeight + 48 && bottom < innerHeight;
    cell.scrollIntoView({ block: seen ? "nearest" : "center", inline: "nearest" });
  }

  function panelContent(found, column) {
    const cell = found.cells[column];
    const loader = loaders[column];
    const close = make("button", { type: "button", class: "button close", "aria-label": "Close (Escape)" }, "✕");
    close.addEventListener("click", closePanel);
    const head = make("div", { class: "panel-head" },
      make("p", { class: "over" }, make("code", {}, found.id)), close,
      make("h2", { id: "panel-title", tabindex: "-1" }, found.title));
    return [head, ...verdictPart(cell, loader), ...cellPart(found, cell), casePart(found), othersPart(found, column)];
  }

  function verdictPart(cell, loader) {
    const who = make("p", { class: "who" }, make("b", {}, loader.name), ` ${loader.version}`);
    if (!cell) {
      return [who, make("p", { class: "verdict" }, "Not run: the report of this loader does not have this case.")];
    }
    const { name, meaning } = verdicts.get(cell.verdict);
    const parts = [who, make("p", { class: "verdict" }, chip(cell.verdict), make("b", {}, name), make("span", { class: "quiet" }, meaning))];
    if (cell.failed_as) {
      parts.push(make("p", { class: "detail" }, `It fails with ${verdicts.get(cell.failed_as).name}. The baseline says: ${cell.known}`));
    }
    if (cell.detail) parts.push(make("p", { class: "detail" }, cell.detail));
    return parts;
  }

  const block = (title, text, name) => make("section", { class: name }, make("h3", {}, title), make("pre", {}, text));

  function cellPart(found, cell) {
    const parts = [make("section", { class: "expected" }, make("h3", {}, "Expected"), make("p", {}, found.expected || "Not told."))];
    if (!cell) return parts;
    parts.push(block("Observed", cell.observed || "Nothing.", "observed"));
    if (cell.notices) {
      parts.push(make("section", { class: "notices" }, make("h3", {}, "Notices"),
        make("ul", {}, ...cell.notices.map((notice) => make("li", {}, notice)))));
    }
    parts.push(block("Transcript", cell.transcript || "It printed nothing.", cell.transcript ? "transcript" : "transcript empty"));
    if (cell.reproduce) parts.push(reproducePart(cell.reproduce));
    return parts;
  }

  function reproducePart(command) {
    const text = make("code", {}, command);
    const button = make("button", { type: "button", class: "button copy" }, "Copy");
    button.addEventListener("click", async () => {
      const done = await copy(command, text);
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      $("live").textContent = done ? "The command is copied." : "The command is selected.";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    return make("section", { class: "reproduce" }, make("h3", {}, "Reproduce"), make("div", { class: "command" }, text, button));
  }

  async function copy(command, element) {
    try {
      await navigator.clipboard.writeText(command);
      return true;
    } catch {
      getSelection().selectAllChildren(element);
      return document.execCommand("copy");
    }
  }

  function casePart(found) {
    const list = make("dl", { class: "of-case" });
    const put = (name, ...value) => list.append(make("dt", {}, name), make("dd", {}, ...value));
    put("Clause", make("code", {}, found.clause));
    put("Level", found.level);
    put("Severity", found.severity);
    put("Flags", found.flags.join(", ") || "none");
    put("Source", ...sourcePart(found.source));
    put("Sibling", siblingPart(found.sibling));
    return make("section", { class: "case" }, make("h3", {}, "The case"), list);
  }

  function sourcePart({ text, url }) {
    const web = /^https?:\/\//i.test(url);
    const where = web ? make("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, url) : url;
    return [text, text ? make("br") : null, where];
  }

  function siblingPart(id) {
    if (!rowOf.has(id)) return make("code", {}, id || "none");
    const button = make("button", { type: "button", class: "link sibling" }, make("code", {}, id));
    button.addEventListener("click", () => goTo(id, state.loader));
    return make("span", {}, button, make("span", { class: "quiet" }, ` ${cases.get(id).title}`));
  }

  function othersPart(found, column) {
    const list = make("ul", { class: "others" });
    loaders.forEach((loader, each) => {
      const cell = found.cells[each];
      if (each === column || !cell) return;
      const button = make("button", { type: "button", class: "link" }, loader.key);
      button.addEventListener("click", () => goTo(found.id, loader.key));
      list.append(make("li", {}, chips(cell.verdict), button));
    });
    const any = list.children.length > 0;
    return make("section", { class: "rest", hidden: !any }, make("h3", {}, "The other loaders"), list);
  }

  function goTo(id, loader) {
    state.case = id;
    state.loader = loader;
    changed(true);
    $("panel-title").focus();
  }

  function closePanel() {
    const chosen = shownCell();
    state.case = "";
    state.loader = "";
    changed(true);
    if (!chosen) return;
    rove(chosen.element);
    chosen.element.focus();
  }

  // A cell that is shown lies in no fold, and is left out by no filter.
  function reveal() {
    const chosen = shownCell();
    if (!chosen) return;
    const { found } = chosen.row;
    if (found.alike) state.open.add(found.id.split("/")[0]);
    if (matches(chosen.row, state.text.toLowerCase().split(/\s+/).filter(Boolean))) return;
    state.text = "";
    for (const key of ["areas", "verdicts", "severities"]) state[key].clear();
  }

  // ---- The address -----------------------------------------------------------------------------------------------

  function address() {
    const pairs = new URLSearchParams();
    for (const [name, key] of Object.entries(WORDS)) if (state[key]) pairs.set(name, state[key]);
    for (const [name, key] of Object.entries(SETS)) for (const value of state[key]) pairs.append(name, value);
    return pairs.toString();
  }

  function readAddress() {
    const pairs = new URLSearchParams(location.hash.slice(1));
    for (const [name, key] of Object.entries(WORDS)) state[key] = pairs.get(name) || "";
    const known = {
      areas: new Set(data.areas.map(({ name }) => name)), verdicts: new Set(verdicts.keys()),
      severities: new Set([...cases.values()].map(({ severity }) => severity)),
    };
    known.open = known.areas;
    for (const [name, key] of Object.entries(SETS)) {
      state[key] = new Set(pairs.getAll(name).filter((value) => known[key].has(value)));
    }
    if (!shownCell()) state.case = state.loader = "";
  }

  // `step` where the way back of the browser should lead to what was shown before.
  function changed(step) {
    reveal();
    const hash = address();
    if (hash !== location.hash.slice(1)) history[step ? "pushState" : "replaceState"](null, "", hash ? `#${hash}` : "#");
    show();
    showPanel();
  }

  function restore() {
    readAddress();
    reveal();
    show();
    showPanel();
  }

  // ---- Light, dark, and sizes ------------------------------------------------------------------------------------

  const night = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (night.matches ? "dark" : "light")) === "dark";

  function showTheme() {
    $("theme").textContent = isDark() ? "Light" : "Dark";
  }

  function buildTheme() {
    try {
      const kept = localStorage.getItem("conformance-theme");
      if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
    } catch { /* a browser may forbid a file to keep anything */ }
    $("theme").addEventListener("click", () => {
      document.documentElement.dataset.theme = isDark() ? "light" : "dark";
      try {
        localStorage.setItem("conformance-theme", document.documentElement.dataset.theme);
      } catch { /* as above */ }
      showTheme();
    });
    night.addEventListener("change", showTheme);
    showTheme();
  }

  function measure() {
    const style = document.documentElement.style;
    const beside = panel.hidden || innerWidth < 900 ? 0 : panel.offsetWidth;
    style.setProperty("--beside", `${beside}px`);
    style.setProperty("--view", `${document.documentElement.clientWidth - beside}px`);
    style.setProperty("--head", `${matrix.tHead.offsetHeight}px`);
    style.setProperty("--first", `${matrix.tHead.rows[0].cells[0].offsetWidth}px`);
  }

  buildMade();
  buildSummary();
  buildLegend();
  buildMatrix();
  buildFilters();
  buildTheme();
  restore();
  measure();
  matrix.addEventListener("click", (event) => {
    const cell = event.target.closest("td[data-case]");
    if (cell) choose(cell);
  });
  matrix.addEventListener("keydown", onKey);
  matrix.addEventListener("pointerover", point);
  matrix.addEventListener("focusin", point);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden) closePanel();
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    if (current) current.focus();
  });
  $("legend-button").addEventListener("click", () => {
    const shut = $("legend").classList.toggle("shut");
    $("legend-button").setAttribute("aria-expanded", !shut);
  });
  addEventListener("hashchange", restore);
  addEventListener("popstate", restore);
  addEventListener("resize", measure);
  document.body.dataset.ready = "true";
})();
