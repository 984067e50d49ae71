// One build, drawn from the document in #data: build, before (the build before it, or null), images. All text of the
// document comes from Dockerfiles and commands, so it only ever becomes text nodes.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const build = data.build;
const steps = build.steps || [];
const stepOf = new Map(steps.map((step) => [step.id, step]));
const byId = (id) => document.getElementById(id);

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "style") Object.assign(made.style, value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function drawn(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function duration(ns) {
  const ms = (ns || 0) / 1e6;
  if (ms < 1) return "<1ms";
  if (ms < 1000) return Math.round(ms) + "ms";
  if (ms < 60000) return (ms / 1000).toFixed(ms < 10000 ? 2 : 1) + "s";
  return Math.floor(ms / 60000) + "m " + String(Math.round(ms / 1000) % 60).padStart(2, "0") + "s";
}

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes || 0;
  let unit = 0;
  for (; value >= 1000 && unit + 1 < units.length; ++unit) value /= 1000;
  return (unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)) + " " + units[unit];
}

const ran = (step) => step.state !== "cached" && step.state !== "not-needed";
const endOf = (step) => (step.start_ns || 0) + (step.duration_ns || 0);
const hasTime = (step) => ran(step) && (step.duration_ns || 0) > 0;
const link = (step) => "#step-" + step.id;
const shortDigest = (digest) => digest.replace(/^(sha256:)?([0-9a-f]{12})[0-9a-f]*$/, "$1$2");

// Colours and movements of the cursor have no place in a page.
const plainText = (text) =>
  text.replace(/\x1b\[[0-9;?]*[ -\/]*[@-~]/g, "").replace(/\x1b\][^\x07\x1b]*(\x07|\x1b\\)/g, "")
      .replace(/[^\n]*\r(?!\n)/g, "").replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "");

function logOf(step) {
  if (step.log_text !== undefined) return plainText(step.log_text);
  if (step.log_base64 === undefined) return "";
  const bytes = Uint8Array.from(atob(step.log_base64), (character) => character.charCodeAt(0));
  return plainText(new TextDecoder().decode(bytes));
}

function showHead() {
  document.title = (build.name || build.id) + ": " + build.status;
  byId("name").textContent = build.name || build.id;
  byId("status").textContent = build.status;
  byId("status").classList.add(build.status);
  const about = [build.dockerfile, build.target && "target " + build.target, "in " + build.context,
                 ...(build.arguments || [])];
  byId("about").textContent = about.filter(Boolean).join(" \u00b7 ");
  const tile = (value, name) => element("div", {class: "tile"}, element("b", {}, value), element("span", {}, name));
  const critical = steps.filter((step) => step.critical).reduce((most, step) => Math.max(most, step.path_ns || 0), 0);
  const tiles = [tile(duration(build.duration_ns), "from start to end"),
                 tile(build.steps_cached + " of " + build.steps_total, "steps cached")];
  if (critical > 0) tiles.push(tile(duration(critical), "critical path"));
  const layers = (data.images || []).flatMap((image) => image.layers);
  if (layers.length > 0) tiles.push(tile(size(layers.reduce((sum, layer) => sum + layer.size, 0)), "in layers"));
  tiles.push(tile(build.started.replace("T", " ").replace(/\.\d+Z$/, "Z"), "started, build " + build.id));
  byId("tiles").append(...tiles);
  if (build.error) {
    byId("error").hidden = false;
    byId("error").textContent = build.error;
  }
}

// The slowest steps that ran, and what made them run.
function showAdvice() {
  const slow = steps.filter(hasTime).sort((a, b) => b.duration_ns - a.duration_ns).slice(0, 3);
  const worth = slow.filter((step) => step.duration_ns > build.duration_ns / 20);
  const left = build.duration_ns - steps.reduce((latest, step) => Math.max(latest, endOf(step)), 0);
  const exported = left > build.duration_ns / 3 && left > 1e9;
  byId("advice").hidden = worth.length === 0 && !exported;
  if (exported) byId("advice").append(element("li", {}, "writing or pushing the result took " + duration(left)));
  for (const step of worth) {
    const text = " took " + duration(step.duration_ns) + (step.why ? ": " + step.why : "");
    byId("advice").append(element("li", {}, element("a", {href: link(step)}, step.name), text));
  }
}

// When the last of its inputs was there.
const readyAt = (step) =>
  (step.inputs || []).reduce((latest, id) => Math.max(latest, stepOf.has(id) ? endOf(stepOf.get(id)) : 0), 0);

function niceInterval(total) {
  const rough = total / 6;
  const power = Math.pow(10, Math.floor(Math.log10(rough)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((interval) => interval >= rough);
}

function axis(total) {
  const track = element("div", {class: "track axis"});
  const interval = niceInterval(total);
  for (let at = 0; at < total * 0.9; at += interval)
    track.append(element("span", {style: {left: (100 * at) / total + "%"}}, at === 0 ? "0" : duration(at)));
  track.append(element("span", {style: {left: "100%"}}, duration(total)));
  return track;
}

function bar(kind, from, to, total, title, text) {
  const made = element("div", {
    class: "bar " + kind, title, style: {left: (100 * from) / total + "%", width: (100 * (to - from)) / total + "%"}});
  const place = to - from > total / 8 ? "inside" : to > total * 0.9 ? "before" : "";
  if (text) made.append(element("em", {class: place}, text));
  return made;
}

function showTimeline() {
  const shown = steps.filter(hasTime).sort((a, b) => a.start_ns - b.start_ns);
  const last = steps.reduce((latest, step) => Math.max(latest, endOf(step)), 0);
  const total = Math.max(build.duration_ns, last, 1);
  const rows = byId("timeline");
  rows.append(element("div", {class: "label quiet"}, "step"), axis(total));
  for (const step of shown) {
    const track = element("div", {class: "track"});
    const start = step.start_ns || 0;
    const ready = readyAt(step);
    const wait = start - ready;
    if (wait > total / 500) track.append(bar("wait", ready, start, total, "waited " + duration(wait)));
    const title = step.name + "\n" + duration(step.duration_ns) + (step.why ? "\n" + step.why : "");
    track.append(bar(step.state + (step.critical ? " critical" : ""), start, endOf(step), total, title,
                     duration(step.duration_ns)));
    rows.append(element("a", {class: "label", href: link(step), title: step.name}, step.name), track);
  }
  if (build.duration_ns - last > total / 200 && last > 0) {
    const track = element("div", {class: "track"});
    const left = build.duration_ns - last;
    track.append(bar("other", last, build.duration_ns, total, "export and end: " + duration(left), duration(left)));
    rows.append(element("span", {class: "label"}, "export and end"), track);
  }
  const cached = steps.filter((step) => step.state === "cached" && step.key).length;
  byId("cached-note").hidden = cached === 0;
  byId("cached-note").textContent = cached + (cached === 1 ? " step was" : " steps were") + " cached and took no time.";
}

// Columns by the longest way from a source; within a column, a step stands near the mean of its inputs.
function layOut() {
  const column = new Map();
  const columns = [];
  for (const step of steps) {
    const inputs = (step.inputs || []).filter((id) => column.has(id));
    const at = inputs.reduce((most, id) => Math.max(most, column.get(id) + 1), 0);
    column.set(step.id, at);
    (columns[at] = columns[at] || []).push(step);
  }
  const row = new Map();
  for (const members of columns) {
    const wanted = new Map(members.map((step) => {
      const inputs = (step.inputs || []).filter((id) => row.has(id));
      return [step.id, inputs.length ? inputs.reduce((sum, id) => sum + row.get(id), 0) / inputs.length : 0];
    }));
    members.sort((a, b) => wanted.get(a.id) - wanted.get(b.id) || a.id - b.id);
    let next = 0;
    for (const step of members) {
      row.set(step.id, Math.max(next, Math.round(wanted.get(step.id))));
      next = row.get(step.id) + 1;
    }
  }
  return {column, row, columns: columns.length, rows: Math.max(0, ...row.values()) + 1};
}

function showGraph() {
  const width = 210, height = 40, gapX = 46, gapY = 14;
  const place = layOut();
  const x = (id) => place.column.get(id) * (width + gapX) + 2;
  const y = (id) => place.row.get(id) * (height + gapY) + 2;
  const graph = byId("graph");
  graph.setAttribute("width", place.columns * (width + gapX) - gapX + 4);
  graph.setAttribute("height", place.rows * (height + gapY) - gapY + 4);
  for (const step of steps) {
    for (const id of (step.inputs || []).filter((input) => stepOf.has(input))) {
      const fromX = x(id) + width, fromY = y(id) + height / 2, toX = x(step.id), toY = y(step.id) + height / 2;
      const middle = gapX * 0.6;
      const critical = step.critical && stepOf.get(id).critical && endOf(stepOf.get(id)) === readyAt(step);
      graph.append(drawn("path", {
        class: critical ? "critical" : "",
        d: `M${fromX},${fromY} C${fromX + middle},${fromY} ${toX - middle},${toY} ${toX},${toY}`}));
    }
  }
  for (const step of steps) graph.append(node(step, x(step.id), y(step.id), width, height));
}

function node(step, x, y, width, height) {
  const short = step.name.length > 31 ? step.name.slice(0, 30) + "\u2026" : step.name;
  const below = hasTime(step) ? step.state + ", " + duration(step.duration_ns) : step.state;
  const made = drawn("a", {href: link(step), class: "node " + step.state + (step.critical ? " critical" : "")},
    drawn("title", {}, step.name + "\n" + (step.why || step.state)),
    drawn("rect", {class: "box", x, y, width, height, rx: 6}),
    drawn("rect", {class: "state", x, y: y + 6, width: 4, height: height - 12, rx: 2}),
    drawn("text", {x: x + 12, y: y + 17}, short),
    drawn("text", {x: x + 12, y: y + 32, class: "small"}, below));
  return made;
}

function table(heads, rows) {
  const cell = (tag, value, index) =>
    element(tag, heads[index].number ? {class: "number"} : {}, value === undefined || value === null ? "" : value);
  return [element("tr", {}, ...heads.map((head, index) => cell("th", head.name, index))),
          ...rows.map((row) => element("tr", {}, ...row.map((value, index) => cell("td", value, index))))];
}

function useOf(step) {
  const uses = [];
  const cpu = (step.cpu_user_ns || 0) + (step.cpu_system_ns || 0);
  if (cpu > 0) uses.push("processors " + duration(cpu));
  if (step.peak_memory_bytes) uses.push("memory " + size(step.peak_memory_bytes));
  if (step.read_bytes) uses.push("read " + size(step.read_bytes));
  if (step.written_bytes) uses.push("written " + size(step.written_bytes));
  if (step.oom_killed) uses.push("out of memory");
  return uses.join(" \u00b7 ");
}

function bodyOf(step) {
  const body = element("div", {class: "body"});
  const part = (title, ...content) => body.append(element("h3", {}, title), ...content);
  if (step.why) part("Why", element("p", {}, step.why));
  const facts = [step.line && "line " + step.line, step.stage && "stage " + step.stage,
                 hasTime(step) && "began after " + duration(step.start_ns), useOf(step)];
  body.append(element("p", {class: "quiet"}, facts.filter(Boolean).join(" \u00b7 ")));
  if (step.error) body.append(element("pre", {class: "error"}, step.error));
  const differences = (step.reason && step.reason.differences) || [];
  if (differences.length > 0) {
    const rows = differences.map((one) => [one.kind, one.before, one.after]);
    part("What changed", element("table", {}, ...table([{name: "part"}, {name: "before"}, {name: "now"}], rows)));
  }
  const log = logOf(step);
  if (log) part("Output", element("pre", {}, log));
  if (step.key_parts) {
    const rows = step.key_parts.map((one) => [one.label, element("code", {}, one.value || "")]);
    part("Key", element("table", {}, ...table([{name: "part"}, {name: "value"}], rows)));
  }
  return body;
}

function showSteps() {
  for (const step of steps) {
    const summary = element("summary", {}, element("span", {class: "badge " + step.state}, step.state),
      element("span", {class: "title"}, step.name), element("span", {class: "why"}, step.why || ""),
      element("span", {class: "mono"}, hasTime(step) ? duration(step.duration_ns) : ""));
    const details = element("details", {class: "step " + (ran(step) ? "" : "idle"), id: "step-" + step.id,
                                        open: step.state === "failed"}, summary);
    // A long log is laid out only where somebody looks at it.
    const fill = () => details.childElementCount === 1 && details.append(bodyOf(step));
    if (details.open) fill();
    details.addEventListener("toggle", fill);
    byId("steps").append(details);
  }
  byId("only-ran").addEventListener("change", (event) => {
    for (const details of document.querySelectorAll("details.idle")) details.hidden = event.target.checked;
  });
}

function openTarget() {
  const target = /^#step-\d+$/.test(location.hash) && byId(location.hash.slice(1));
  if (!target) return;
  target.hidden = false;
  target.open = true;
  target.scrollIntoView({block: "center"});
}

function showImages() {
  const images = data.images || [];
  byId("image-part").hidden = images.length === 0 && !build.image;
  if (build.image) byId("images").append(element("p", {class: "mono"}, build.image));
  for (const image of images) {
    const largest = Math.max(1, ...image.layers.map((layer) => layer.size));
    const rows = image.layers.map((layer) => [
      shortDigest(layer.digest), size(layer.size),
      element("div", {class: "share"}, element("span", {style: {width: (100 * layer.size) / largest + "%"}})),
      layer.created_by]);
    const heads = [{name: "layer"}, {name: "size", number: true}, {name: ""}, {name: "made by"}];
    byId("images").append(element("h3", {}, image.platform),
                          element("div", {class: "scroll"}, element("table", {}, ...table(heads, rows))),
                          element("pre", {}, JSON.stringify(image.config, null, 2)));
  }
}

// The same instruction may be step 2 of 5 in one build and 3 of 6 in the other; another instruction in its place is
// what became of it.
const instruction = (step) => step.name.replace(/^\[([^\]]*?) ?\d+\/\d+\]/, "[$1]");
const placeOf = (step) => (step.name.match(/^\[[^\]]* \d+\/\d+\]/) || [""])[0];

function counterparts(now, then) {
  const left = new Map(then.map((step) => [instruction(step), step]));
  const pairs = new Map();
  for (const step of now) {
    if (!left.has(instruction(step))) continue;
    pairs.set(step, left.get(instruction(step)));
    left.delete(instruction(step));
  }
  const byPlace = new Map([...left.values()].map((step) => [placeOf(step), step]));
  for (const step of now) {
    const found = placeOf(step) && byPlace.get(placeOf(step));
    if (pairs.has(step) || !found) continue;
    pairs.set(step, found);
    left.delete(instruction(found));
  }
  return {pairs, gone: [...left.values()]};
}

function showBefore() {
  const before = data.before;
  if (!before) return;
  byId("before-part").hidden = false;
  const change = build.duration_ns - before.duration_ns;
  byId("before-about").textContent = `Build ${before.id} (${before.status}) took ${duration(before.duration_ns)}, ` +
    `${duration(Math.abs(change))} ${change > 0 ? "less" : "more"} than this one; ` +
    `${before.steps_cached} of ${before.steps_total} steps were cached.`;
  const state = (step) => !step ? "not there" : hasTime(step) ? step.state + " " + duration(step.duration_ns) : step.state;
  const rows = [];
  const add = (now, then) => {
    const difference = (now ? now.duration_ns || 0 : 0) - (then ? then.duration_ns || 0 : 0);
    const large = Math.abs(difference) > 1e6;
    const text = large ? (difference > 0 ? "+" : "\u2212") + duration(Math.abs(difference)) : "";
    rows.push([(now || then).name, state(then), state(now),
               element("span", {class: difference > 0 ? "slower" : "faster"}, text)]);
  };
  const {pairs, gone} = counterparts(steps, before.steps || []);
  for (const step of steps) if (pairs.has(step) || ran(step)) add(step, pairs.get(step));
  for (const then of gone) add(undefined, then);
  const heads = [{name: "step"}, {name: "before"}, {name: "now"}, {name: "change", number: true}];
  byId("before").append(...table(heads, rows));
}

showHead();
showAdvice();
showTimeline();
showGraph();
showSteps();
showImages();
showBefore();
addEventListener("hashchange", openTarget);
openTarget();
