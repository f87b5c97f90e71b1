// The page an operator opens first: panels that ask the endpoints of this server, each time their turn comes.
// Everything that comes from the server is put in as text, never as markup.
"use strict";

const EVERY = 2000; // milliseconds between two looks
const MOST = 500; // rows of a table
const $ = (id) => document.getElementById(id);

// Building blocks ------------------------------------------------------------------------------------------------

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
  return element;
}

function figure(label, value, id) {
  return make("div", { class: "figure", "data-figure": id || label }, make("b", {}, String(value)), make("span", {}, label));
}

// columns: [heading, row => text or element, "number" | "code" | undefined]
function table(columns, rows, id) {
  if (!rows.length) return make("p", { class: "none", "data-table": id }, "none");
  const head = columns.some(([heading]) => heading)
    ? make("tr", {}, columns.map(([heading, , kind]) => make("th", { scope: "col", class: kind === "number" ? kind : undefined }, heading))) : null;
  const body = rows.slice(0, MOST).map((row) => make("tr", {}, columns.map(([, cell, kind]) => {
    const value = cell(row);
    return make("td", { class: kind }, value === undefined || value === null ? "" : value instanceof Node ? value : String(value));
  })));
  const parts = [make("div", { class: "scroll" }, make("table", { "data-table": id }, head && make("thead", {}, head), make("tbody", {}, body)))];
  if (rows.length > MOST) parts.push(make("p", { class: "none" }, `${rows.length - MOST} more are not shown`));
  return make("div", {}, parts);
}

const number = (value, digits = 0) => value === null || value === undefined || Number.isNaN(value) ? "–"
  : value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });

function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) { value /= 1024; at += 1; }
  return `${number(value, at ? 1 : 0)} ${units[at]}`;
}

function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.001) return `${number(value * 1e6)} µs`;
  if (value < 1) return `${number(value * 1e3, 1)} ms`;
  if (value < 120) return `${number(value, 1)} s`;
  const hours = Math.floor(value / 3600);
  return hours ? `${hours} h ${Math.floor(value % 3600 / 60)} min` : `${Math.floor(value / 60)} min`;
}

const endpoint = (address) => !address ? "" : address.port ? `${address.address}:${address.port}` : address.address;

// Asking ---------------------------------------------------------------------------------------------------------

class Refused extends Error { constructor(status, path) { super(`${path}: ${status}`); this.status = status; } }

async function ask(path, options) {
  const answer = await fetch(path, { cache: "no-store", ...options });
  if (!answer.ok) throw new Refused(answer.status, path);
  return answer;
}
const json = async (path) => (await ask(path)).json();
const maybe = async (path) => { try { return await json(path); } catch (e) { if (e instanceof Refused) return null; throw e; } };

// Rates: what grew since the last look; a server that started anew begins at 0 again.
const before = new Map();
function rate(key, value, now) {
  const last = before.get(key);
  before.set(key, { value, now });
  if (!last || value < last.value || now <= last.now) return null;
  return (value - last.value) / (now - last.now) * 1000;
}
const perSecond = (value) => value === null ? "–" : `${number(value, value < 10 ? 1 : 0)}/s`;

// Samples of /metrics by name: [{labels, value}]
async function metrics() {
  const found = new Map();
  for (const line of (await (await ask("/metrics")).text()).split("\n")) {
    const match = /^([a-zA-Z0-9_:]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, name, value] of (match[2] || "").matchAll(/([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, c) => c === "n" ? "\n" : c);
    }
    if (!found.has(match[1])) found.set(match[1], []);
    found.get(match[1]).push({ labels, value: Number(match[3]) });
  }
  return found;
}
const sum = (samples) => (samples || []).reduce((total, each) => total + each.value, 0);
const one = (samples) => samples && samples.length ? samples[0].value : null;

// Panels: each is a function that gives what to show ----------------------------------------------------------------

const filters = {};
function filtered(id, rows, text) {
  const wanted = (filters[id] || "").toLowerCase();
  return wanted ? rows.filter((row) => text(row).toLowerCase().includes(wanted)) : rows;
}
function filterBox(id) {
  return make("div", { class: "tools" }, make("input", {
    type: "search", placeholder: "filter", "aria-label": "filter", value: filters[id] || "", id: `filter-${id}`,
    on: { input: (event) => { filters[id] = event.target.value; look(); } },
  }));
}

async function overview() {
  const now = Date.now();
  const [m, loops, capa] = await Promise.all([metrics(), json("loops.json"), json("/capa.json")]);
  const lags = loops.threads.map((each) => each.lag);
  const busy = (m.get("mtev_lua_busy") || []).filter((each) => each.value);
  const classes = new Map();
  for (const { labels, value } of m.get("mtev_http_requests_total") || []) classes.set(labels.class, (classes.get(labels.class) || 0) + value);
  const worst = Math.max(0, ...lags);
  const figures = [
    figure("requests", perSecond(rate("requests", sum(m.get("mtev_http_requests_total")), now)), "requests"),
    figure("requests in flight", number(sum(m.get("mtev_http_requests_in_flight"))), "in_flight"),
    figure(worst > 0.1 ? "loop lag: a loop is held up" : "loop lag, worst", seconds(worst), "lag"),
    figure("resident memory", bytes(one(m.get("mtev_process_resident_memory_bytes"))), "resident"),
    figure("descriptors", `${number(one(m.get("mtev_process_open_fds")))} of ${number(one(m.get("mtev_process_max_fds")))}`, "descriptors"),
    figure("CPU", perSecond(rate("cpu", one(m.get("mtev_process_cpu_seconds_total")), now)).replace("/s", " cores"), "cpu"),
    figure("Lua heap", bytes(sum(m.get("mtev_lua_heap_bytes"))), "heap"),
    figure("Lua coroutines", number(sum(m.get("mtev_lua_coroutines"))), "coroutines"),
    figure("Lua sockets", number(sum(m.get("mtev_lua_sockets"))), "sockets"),
    figure("jobs that wait", number(sum(m.get("mtev_jobq_backlog"))), "backlog"),
    figure("log lines lost", number(sum(m.get("mtev_log_lines_lost_total"))), "lost"),
    figure("restarts", number(sum(m.get("mtev_restarts_total"))), "restarts"),
    figure("up for", seconds(now / 1000 - one(m.get("mtev_process_start_time_seconds"))), "uptime"),
  ];
  const warnings = [
    ...busy.map((each) => `Lua state ${each.labels.module} on ${each.labels.thread} does not answer: it runs and runs`),
    ...loops.threads.filter((each) => each.lag > 0.5).map((each) => `loop ${each.name} did not turn for ${seconds(each.lag)}`),
    ...(m.get("mtev_log_lines_lost_total") || []).filter((each) => each.value)
      .map((each) => `log ${each.labels.stream}: ${number(each.value)} lines could not be written`),
    ...(m.get("mtev_jobq_backlog") || []).filter((each) => each.value > 10)
      .map((each) => `job queue ${each.labels.queue}: ${number(each.value)} jobs wait`),
  ];
  return [
    warnings.length ? make("ul", { id: "warnings" }, warnings.map((each) => make("li", { class: "bad" }, each))) : null,
    make("div", { class: "figures" }, figures),
    make("h2", {}, "Answers by status"),
    table([["class", (r) => r[0]], ["answers", (r) => number(r[1]), "number"],
      ["rate", (r) => perSecond(rate(`class ${r[0]}`, r[1], now)), "number"]], [...classes].sort(), "statuses"),
    make("h2", {}, "What runs here"),
    table([["", (r) => r[0]], ["", (r) => r[1], "code"]], [
      ["version", capa.version], ["as libmtev", capa.mtev_version],
      ["node", capa.unameRun.nodename], ["system", `${capa.unameRun.sysname} ${capa.unameRun.release} ${capa.unameRun.machine}`],
      ["modules", Object.keys(capa.modules).join(", ")],
    ], "about"),
  ];
}

async function loops() {
  const now = Date.now();
  const found = await json("loops.json");
  return [table([
    ["pool", (r) => r.pool], ["thread", (r) => r.name, "code"], ["kernel id", (r) => r.tid, "number"],
    ["lag", (r) => make("span", { class: r.lag > 0.1 ? "bad" : undefined }, r.lag > 0.1 ? `${seconds(r.lag)}, held up` : seconds(r.lag)), "number"],
    ["turns", (r) => perSecond(rate(`turns ${r.name}`, r.turns, now)), "number"],
    ["CPU", (r) => r.cpu === null ? "–" : perSecond(rate(`cpu ${r.name}`, r.cpu, now)).replace("/s", " cores"), "number"],
    ["events", (r) => number(r.events), "number"],
  ], found.threads, "loops")];
}

async function queues() {
  const now = Date.now();
  const found = Object.entries(await json("/eventer/jobq.json"));
  return [table([
    ["queue", (r) => r[0], "code"],
    ["threads", (r) => `${r[1].concurrency} of ${r[1].desired_concurrency}`, "number"],
    ["waiting", (r) => make("span", { class: r[1].backlog > 10 ? "bad" : undefined }, number(r[1].backlog)), "number"],
    ["running", (r) => number(r[1].inflight), "number"],
    ["jobs", (r) => number(r[1].total_jobs), "number"],
    ["rate", (r) => perSecond(rate(`jobq ${r[0]}`, r[1].total_jobs, now)), "number"],
    ["waited", (r) => seconds(r[1].avg_wait_ms / 1e3), "number"], ["ran", (r) => seconds(r[1].avg_run_ms / 1e3), "number"],
    ["too late", (r) => number(r[1].timeouts), "number"],
  ], found, "queues")];
}

async function timers() {
  const now = Date.now();
  const rows = await json("/eventer/timers.json");
  return [filterBox("timers"), table([
    ["callback", (r) => r.callback, "code"], ["due in", (r) => seconds(Math.max(0, (r.whence - now) / 1000)), "number"],
    ["pool", (r) => r.eventer_pool], ["coroutine", (r) => r.coroutine, "code"], ["where", (r) => r.source, "code"],
  ], filtered("timers", rows, (r) => JSON.stringify(r)), "timers")];
}

async function sockets() {
  const rows = await json("/eventer/sockets.json");
  const mask = (value) => [[1, "read"], [2, "write"], [4, "error"]].filter(([bit]) => value & bit).map(([, word]) => word).join(", ") || "nothing";
  return [filterBox("sockets"), make("p", { class: "none" }, `${number(rows.length)} descriptors`), table([
    ["fd", (r) => r.fd, "number"], ["callback", (r) => r.callback, "code"], ["waits for", (r) => mask(r.mask)],
    ["local", (r) => endpoint(r.local), "code"], ["remote", (r) => endpoint(r.remote), "code"], ["pool", (r) => r.eventer_pool],
    ["over", (r) => r.impl], ["coroutine", (r) => r.coroutine, "code"], ["is at", (r) => r.source, "code"],
    ["made at", (r) => r.made_at, "code"],
  ], filtered("sockets", rows, (r) => JSON.stringify(r)), "sockets")];
}

let tailed = null;
async function logs() {
  const streams = await json("logs.json");
  const memory = streams.filter((each) => each.type === "memory");
  if (!memory.some((each) => each.name === tailed)) tailed = memory.length ? memory[0].name : null;
  const lines = tailed === null ? [] : await json(`/eventer/logs/${encodeURIComponent(tailed).replace(/%2F/g, "/")}.json?last=200`);
  const flag = (stream, name) => make("button", {
    "aria-pressed": String(stream[name]), title: `${name} of ${stream.name}`, "data-stream": stream.name, "data-flag": name,
    on: { click: () => toggle(stream.name, name, !stream[name]) },
  }, stream[name] ? "on" : "off");
  return [
    make("h2", {}, "Tail"),
    make("div", { class: "tools" }, memory.length ? make("select", {
      "aria-label": "log", on: { change: (event) => { tailed = event.target.value; look(); } },
    }, memory.map((each) => make("option", { value: each.name, selected: each.name === tailed }, each.name)))
      : make("span", { class: "none" }, "no log of type memory is configured: <log name=\"internal\" type=\"memory\" path=\"10000,1000000\"/>")),
    tailed === null ? null : make("div", { class: "tail", id: "tail" }, make("pre", {}, lines.map((each) => each.line).join("") || "nothing was logged yet")),
    make("h2", {}, "Streams"), filterBox("logs"),
    table([
      ["stream", (r) => r.name, "code"], ["writes", (r) => r.enabled_below ? "yes" : "no"],
      ["enabled", (r) => flag(r, "enabled")], ["debug", (r) => flag(r, "debug")], ["timestamps", (r) => flag(r, "timestamps")],
      ["facility", (r) => flag(r, "facility")], ["to", (r) => [r.type, r.path, ...r.outlets].filter(Boolean).join(" "), "code"],
      ["lost", (r) => make("span", { class: r.write_errors ? "bad" : undefined }, number(r.write_errors)), "number"],
    ], filtered("logs", streams, (r) => r.name), "streams"),
  ];
}

async function toggle(name, flag, on) {
  const query = new URLSearchParams({ name, flag, on: on ? "1" : "0" });
  await ask(`logs.json?${query}`, { method: "POST", headers: { "X-Ops": "1" } });
  look();
}

const opened = new Set();
async function lua() {
  const now = Date.now();
  const found = await maybe("/module/lua/state.json?timeout=1500");
  if (found === null) return [make("p", { class: "none" }, "no Lua here")];
  const parts = [];
  for (const [module, threads] of Object.entries(found)) {
    for (const [thread, state] of Object.entries(threads)) {
      parts.push(make("h2", { "data-state": `${module} ${thread}` }, `${module} on ${thread}`));
      if (state.error) { parts.push(make("p", { class: "bad" }, state.error)); continue; }
      parts.push(make("p", {}, `${bytes(state.memory)}, ${number(state.coroutines.length)} coroutines, visits ${perSecond(rate(`visits ${module} ${thread}`, state.visits, now))}`));
      const oldest = [...state.coroutines].sort((a, b) => b.age - a.age).slice(0, 200);
      for (const each of oldest) {
        const key = `${module} ${thread} ${each.address}`;
        const where = each.frames && each.frames.length ? each.frames.filter((f) => f.line).map((f) => `${f.file}:${f.line}`).pop() : "";
        parts.push(make("details", { open: opened.has(key), on: { toggle: (event) => event.target.open ? opened.add(key) : opened.delete(key) } },
          make("summary", { class: "code" }, `${each.address} ${where || ""} · awaits: ${each.awaits} · age ${seconds(each.age)} · CPU ${seconds(each.cpu)}`),
          make("div", {}, make("pre", {}, each.stack))));
      }
      if (state.coroutines.length > 200) parts.push(make("p", { class: "none" }, `${state.coroutines.length - 200} younger ones are not shown`));
    }
  }
  return parts.length ? parts : [make("p", { class: "none" }, "no Lua states")];
}

// The profile is taken when somebody asks, not by the clock.
let profiled = null;
let root = null;
let zoomed = null;
let taking = false;
async function profile() {
  const take = (what, path) => make("button", { id: `take-${what}`, disabled: taking, on: { click: () => sample(what, path) } }, `${what}, 5 s`);
  const link = (path, text) => make("a", { href: path }, text);
  return [
    make("div", { class: "tools" }, take("Lua", "/module/lua/profile?seconds=5"), take("Python", "/mtev/profile?seconds=5"),
      make("span", { class: "none" }, "for speedscope: "), link("/module/lua/profile?seconds=5&format=speedscope", "Lua"),
      link("/mtev/profile?seconds=5&format=speedscope", "Python")),
    make("p", { class: "none", id: "profiled" }, taking ? "sampling…" : profiled || "nothing sampled yet"),
    root && root.value ? flame(zoomed || root) : null,
  ];
}

async function sample(what, path) {
  taking = true;
  draw(await profile());
  try {
    const text = await (await ask(path)).text();
    root = { name: `all of ${what}`, value: 0, children: new Map() };
    zoomed = null;
    for (const line of text.split("\n")) {
      const at = line.lastIndexOf(" ");
      if (at < 0) continue;
      const count = Number(line.slice(at + 1));
      root.value += count;
      let here = root;
      for (const frame of line.slice(0, at).split(";")) {
        if (!here.children.has(frame)) here.children.set(frame, { name: frame, value: 0, children: new Map(), parent: here });
        here = here.children.get(frame);
        here.value += count;
      }
    }
    profiled = root.value ? `${what}: ${number(root.value)} samples of 10 ms of CPU; a click on a frame shows it alone` : `${what}: no CPU was used`;
  } catch (failure) {
    profiled = String(failure.message);
  }
  taking = false;
  if (current() === "profile") draw(await profile());
}

function flame(top) {
  const rows = [];
  let depth = 0;
  const put = (node, left, width, level) => {
    if (width < 0.1) return;
    depth = Math.max(depth, level);
    const share = `${node.name} – ${number(node.value)} samples, ${number(100 * node.value / root.value, 1)} %`;
    rows.push(make("button", {
      title: share, "aria-label": share, style: `left:${left}%;width:${width}%;top:${level * 1.5}rem`,
      on: { click: async () => { zoomed = node === zoomed && node.parent ? node.parent : node; draw(await profile()); } },
    }, node.name));
    let at = left;
    for (const child of [...node.children.values()].sort((a, b) => b.value - a.value)) {
      const part = width * child.value / node.value;
      put(child, at, part, level + 1);
      at += part;
    }
  };
  put(top, 0, 100, 0);
  return make("div", { class: "flame", id: "flame", style: `height:${(depth + 1) * 1.5}rem` }, rows);
}

async function routes() {
  const now = Date.now();
  const found = await metrics();
  const rows = new Map();
  const row = (route) => { if (!rows.has(route)) rows.set(route, { route, classes: {}, total: 0, buckets: [], sum: 0, count: 0 }); return rows.get(route); };
  for (const { labels, value } of found.get("mtev_http_requests_total") || []) { const r = row(labels.route); r.classes[labels.class] = value; r.total += value; }
  for (const { labels, value } of found.get("mtev_http_latency_seconds_bucket") || []) row(labels.route).buckets.push([labels.le, value]);
  for (const { labels, value } of found.get("mtev_http_latency_seconds_sum") || []) row(labels.route).sum = value;
  for (const { labels, value } of found.get("mtev_http_latency_seconds_count") || []) row(labels.route).count = value;
  const bars = (r) => {
    const counts = r.buckets.map(([le, value], at) => [le, value - (at ? r.buckets[at - 1][1] : 0)]);
    const most = Math.max(1, ...counts.map((each) => each[1]));
    const told = counts.filter((each) => each[1]).map(([le, count]) => `up to ${le === "+Inf" ? "ever" : seconds(Number(le))}: ${number(count)}`).join("; ");
    return make("div", { class: "histogram", role: "img", "aria-label": told, title: told },
      counts.map(([, count]) => make("i", { class: count ? undefined : "empty", style: `height:${Math.ceil(100 * count / most)}%` })));
  };
  const quantile = (r, q) => { const hit = r.buckets.find((each) => each[1] >= q * r.count); return !r.count || !hit ? "–" : hit[0] === "+Inf" ? "more" : `≤ ${seconds(Number(hit[0]))}`; };
  const list = [...rows.values()].sort((a, b) => b.total - a.total);
  return [filterBox("routes"), table([
    ["route", (r) => r.route, "code"], ["answers", (r) => number(r.total), "number"],
    ["rate", (r) => perSecond(rate(`route ${r.route}`, r.total, now)), "number"],
    ["by status", (r) => Object.entries(r.classes).sort().map(([c, n]) => `${c}: ${number(n)}`).join(", ")],
    ["mean", (r) => r.count ? seconds(r.sum / r.count) : "–", "number"], ["half", (r) => quantile(r, 0.5), "number"],
    ["99 %", (r) => quantile(r, 0.99), "number"], ["latencies, 100 µs to 10 s and more", bars],
  ], filtered("routes", list, (r) => r.route), "routes")];
}

function flat(value, path, rows) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    for (const [key, each] of Object.entries(value)) flat(each, path ? `${path}.${key}` : key, rows);
  } else rows.push([path, Array.isArray(value) ? JSON.stringify(value) : value]);
  return rows;
}
async function memory() {
  const [found, m] = await Promise.all([json("/mtev/memory.json"), metrics()]);
  const rows = filtered("memory", flat(found, "", []), (r) => r[0]);
  return [
    make("div", { class: "figures" }, figure("resident memory", bytes(one(m.get("mtev_process_resident_memory_bytes"))), "resident"),
      (m.get("mtev_lua_heap_bytes") || []).map((each) => figure(`Lua heap, ${each.labels.module} ${each.labels.thread}`, bytes(each.value)))),
    filterBox("memory"), table([["", (r) => r[0], "code"], ["", (r) => r[1], "code"]], rows, "memory"),
  ];
}

const tree = (path, id) => async () => {
  const found = await maybe(path);
  if (found === null) return [make("p", { class: "none" }, "not in use here")];
  return [table([["", (r) => r[0], "code"], ["", (r) => r[1], "code"]], flat(found, "", []), id)];
};

const PANELS = {
  overview: [overview, "Overview"], loops: [loops, "Loops"], queues: [queues, "Job queues"], timers: [timers, "Timers"],
  sockets: [sockets, "Sockets"], logs: [logs, "Logs"], lua: [lua, "Lua"], profile: [profile, "Profile"],
  routes: [routes, "Routes"], memory: [memory, "Memory"], cluster: [tree("/cluster.json", "cluster"), "Cluster"],
  reverse: [tree("/reverse/show.json", "reverse"), "Reverse"],
};
const OPTIONAL = { cluster: "^/cluster", reverse: "^/reverse/", lua: "^/module/lua/", profile: "^/mtev/profile" };

// Showing --------------------------------------------------------------------------------------------------------

const current = () => { const name = location.hash.slice(1); return Object.hasOwn(PANELS, name) ? name : "overview"; };

function draw(parts) {
  const panel = $("panel");
  const focused = document.activeElement && panel.contains(document.activeElement) ? document.activeElement.id : null;
  const at = focused && "selectionStart" in document.activeElement ? document.activeElement.selectionStart : null;
  const tail = $("tail");
  const followed = !tail || tail.scrollTop + tail.clientHeight >= tail.scrollHeight - 4;
  const scrolled = tail ? tail.scrollTop : 0;
  panel.replaceChildren(...parts.filter(Boolean));
  if (focused && $(focused)) { $(focused).focus(); if (at !== null) $(focused).setSelectionRange(at, at); }
  if ($("tail")) $("tail").scrollTop = followed ? $("tail").scrollHeight : scrolled;
}

let looking = 0;
let timer = null;
async function look() {
  const mine = ++looking;
  const name = current();
  clearTimeout(timer);
  try {
    const parts = await PANELS[name][0]();
    if (mine !== looking) return;
    draw(parts);
    $("panel").dataset.panel = name;
    $("state").className = "";
    $("state").textContent = `as of ${new Date().toLocaleTimeString()}`;
  } catch (failure) {
    if (mine !== looking) return;
    $("state").className = "bad";
    $("state").textContent = failure instanceof Refused ? `refused: ${failure.message}` : "the server does not answer; trying again";
  }
  if (name !== "profile") timer = setTimeout(look, document.hidden ? EVERY * 5 : EVERY);
}

function tabs(hidden) {
  $("tabs").replaceChildren(...Object.entries(PANELS).filter(([name]) => !hidden.has(name)).map(([name, [, title]]) =>
    make("a", { href: `#${name}`, "aria-current": name === current() ? "page" : undefined }, title)));
}

const hidden = new Set(["cluster", "reverse"]);
async function find() {
  try {
    const mounted = (await json("/mtev/rest.json")).map((each) => each.expression);
    for (const [name, beginning] of Object.entries(OPTIONAL)) {
      if (mounted.some((each) => each.startsWith(beginning))) hidden.delete(name); else hidden.add(name);
    }
    tabs(hidden);
    const capa = await json("/capa.json");
    $("title").textContent = `ops · ${capa.unameRun.nodename}`;
    document.title = `ops · ${capa.unameRun.nodename}`;
  } catch (e) { /* what cannot be had is not shown */ }
}

window.addEventListener("hashchange", () => { tabs(hidden); $("panel").replaceChildren(make("p", { class: "none" }, "loading")); look(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
tabs(hidden);
find();
look();
