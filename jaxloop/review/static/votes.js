// What the study and the audit share: asking the server, and pictures that are voted on by mouse and keys.

const [token, rater] = ["token", "rater"].map((name) => document.querySelector(`meta[name=${name}]`).content);
const problem = document.getElementById("problem");

// One after the other, in the order of clicks and keys: the server has the votes in the order of the person.
let queue = Promise.resolve();
let pending = 0; // works that wait or are at it
let refused = 0; // what a refusal finds waiting is not done: it was asked for by who could not know of the refusal
let destination = null; // where to, once nothing waits
let left = false;

// tile: the picture that is shown as waiting until then.
export function inTurn(work, tile = null) {
  if (left) return;
  const known = refused;
  pending += 1;
  mark(tile, 1);
  queue = queue
    .then(() => (known === refused ? work() : null))
    .catch((error) => refuse(error.message))
    .then(() => {
      pending -= 1;
      mark(tile, -1);
      go();
    });
}

const waiting = new Map(); // {picture: works on it}

export function mark(tile, change) {
  if (!tile) return;
  waiting.set(tile, (waiting.get(tile) ?? 0) + change);
  tile.setAttribute("aria-busy", waiting.get(tile) > 0);
}

function refuse(why) {
  refused += 1;
  destination = null;
  problem.textContent = `Not taken${pending > 1 ? ", nor what came after it" : ""}: ${why}`;
  problem.hidden = false;
}

// Goes to another page once nothing waits any more, and not at all if something is refused before that.
export function leave(url) {
  destination ??= url; // a link that was clicked in the meantime is what the person wants
  go();
}

function go() {
  if (pending || destination === null) return;
  left = true;
  document.querySelector("main").inert = true; // a click from here on would come to nobody
  location.assign(destination);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || !pending || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  destination = link.href;
});
addEventListener("beforeunload", (event) => pending && event.preventDefault());
addEventListener("pageshow", (event) => event.persisted && location.reload()); // come back to: its votes may be others

// What the server answers; or null, after saying why, if it did not take what was sent.
export async function post(path, body) {
  let why;
  try {
    const headers = { "Content-Type": "application/json", "X-Review-Token": token };
    const response = await fetch(path, { method: "POST", headers, body: JSON.stringify({ rater, ...body }) });
    const answer = await response.json();
    if (response.ok) {
      problem.hidden = true;
      return answer;
    }
    why = answer.error;
  } catch {
    why = "the server does not answer; is it still running?";
  }
  refuse(why);
  return null;
}

export const tiles = [...document.querySelectorAll(".tile")];
const WORDS = { keep: "keep", drop: "drop", "": "no vote" };
const MARKS = { keep: "✓ keep", drop: "✕ drop", "": "" };

// Shows the verdict that the server has.
export function show(tile, verdict) {
  tile.dataset.verdict = verdict;
  tile.querySelector(".mark").textContent = MARKS[verdict];
  tile.setAttribute("aria-label", `Picture ${tile.dataset.number}, ${tile.dataset.name}: ${WORDS[verdict]}`);
  tile.dispatchEvent(new Event("shown", { bubbles: true }));
}

// True once the vote is on the server's disk; the picture is marked then and no sooner.
export async function vote(tile, verdict) {
  const answer = await post("/vote", { picture: tile.id.slice(2), verdict });
  if (answer) show(tile, answer.verdict);
  return answer !== null;
}

const toggle = (tile) => vote(tile, tile.dataset.verdict === "drop" ? "keep" : "drop");

async function undo() {
  destination = null; // who takes something back stays
  const answer = await post("/undo", {});
  if (!answer) return;
  const tile = document.getElementById(`p-${answer.picture}`);
  if (!tile) return leave(`/page/${answer.page}#p-${answer.picture}`);
  show(tile, "");
  focus(tile);
}

// One picture is the current one: Tab comes to it, arrows move it.
export function focus(tile) {
  tiles.forEach((other) => (other.tabIndex = other === tile ? 0 : -1));
  tile?.focus();
}

function moved(tile, key) {
  const inRow = (other) => other.offsetTop === tile.offsetTop && other.parentNode === tile.parentNode;
  const columns = tiles.filter(inRow).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  return tiles[tiles.indexOf(tile) + step] ?? tile;
}

function pressed(event, onward) {
  const active = document.activeElement;
  if (active !== document.body && !active.classList.contains("tile")) return false; // buttons and links keep their keys
  const tile = tiles.find((other) => other.tabIndex === 0);
  if (event.key.startsWith("Arrow")) focus(moved(tile, event.key));
  else if (event.repeat) return false;
  else if (event.key === "Enter" && onward) inTurn(onward);
  else if (event.key === "k" || event.key === "d") {
    inTurn(() => vote(tile, event.key === "k" ? "keep" : "drop"), tile);
    focus(moved(tile, "ArrowRight"));
  } else return false;
  return true;
}

// Makes the pictures of a page voted on. onward: what Enter does, if anything.
export function start(onward = null) {
  tiles.forEach((tile) => {
    show(tile, tile.dataset.verdict);
    tile.addEventListener("click", () => {
      focus(tile);
      inTurn(() => toggle(tile), tile);
    });
  });
  document.getElementById("undo")?.addEventListener("click", () => inTurn(undo));
  document.addEventListener("keydown", (event) => {
    const wantsUndo = event.ctrlKey || event.metaKey ? event.key === "z" : event.key === "u";
    if (wantsUndo && !event.repeat && !event.altKey) inTurn(undo);
    else if (event.ctrlKey || event.metaKey || event.altKey || !tiles.length || !pressed(event, onward)) return;
    event.preventDefault();
  });
}
