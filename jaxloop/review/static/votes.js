// What the study and the audit share: asking the server, and pictures that are voted on by mouse and keys.

const token = document.querySelector("meta[name=token]").content;
const problem = document.getElementById("problem");

// What the server answers; or null, after saying why, if it did not take what was sent.
export async function post(path, body) {
  let why;
  try {
    const headers = { "Content-Type": "application/json", "X-Review-Token": token };
    const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    const answer = await response.json();
    if (response.ok) {
      problem.hidden = true;
      return answer;
    }
    why = answer.error;
  } catch {
    why = "the server does not answer; is it still running?";
  }
  problem.textContent = `Not taken: ${why}`;
  problem.hidden = false;
  return null;
}

// One after the other, in the order of clicks and keys: the server has the votes in the order of the person.
let queue = Promise.resolve();
const inTurn = (work) => (queue = queue.then(work));

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
  tile.setAttribute("aria-busy", "true");
  const answer = await post("/vote", { picture: tile.id.slice(2), verdict });
  tile.removeAttribute("aria-busy");
  if (answer) show(tile, answer.verdict);
  return answer !== null;
}

const toggle = (tile) => vote(tile, tile.dataset.verdict === "drop" ? "keep" : "drop");

async function undo() {
  const answer = await post("/undo", {});
  if (!answer) return;
  const tile = document.getElementById(`p-${answer.picture}`);
  if (!tile) return location.assign(`/page/${answer.page}#p-${answer.picture}`);
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
    inTurn(() => vote(tile, event.key === "k" ? "keep" : "drop"));
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
      inTurn(() => toggle(tile));
    });
  });
  document.getElementById("undo")?.addEventListener("click", () => inTurn(undo));
  document.addEventListener("keydown", (event) => {
    const wantsUndo = event.ctrlKey || event.metaKey ? event.key === "z" : event.key === "u";
    if (wantsUndo && !event.repeat && !event.altKey) inTurn(undo);
    else if (event.ctrlKey || event.metaKey || event.altKey || !tiles.length || !pressed(event, onward)) return;
    event.preventDefault();
  });
  return inTurn;
}
