// The study: how far the rater is, and the way to the next page.

import { focus, inTurn, leave, mark, start, tiles, vote } from "./votes.js";

const progress = document.getElementById("progress");
const bar = document.getElementById("bar");
const onward = document.getElementById("onward");
const { voted, num, number, pages } = progress.dataset;
const given = () => tiles.filter((tile) => tile.dataset.verdict).length;
const elsewhere = voted - given();

function tell() {
  bar.value = elsewhere + given();
  progress.textContent = `${bar.value} of ${num} voted · page ${number} of ${pages}: ${given()} of ${tiles.length}`;
}

// Keeps every picture of the page that has no vote, and leaves the page if all were taken.
async function keepRest() {
  const rest = tiles.filter((tile) => !tile.dataset.verdict);
  rest.forEach((tile) => mark(tile, 1));
  let taken = true;
  for (const tile of rest) {
    taken &&= await vote(tile, "keep");
    mark(tile, -1);
  }
  if (taken) leave(onward.dataset.next);
}

document.addEventListener("shown", tell);
start(keepRest);
onward.addEventListener("click", () => inTurn(keepRest));
const named = tiles.find((tile) => `#${tile.id}` === location.hash);
focus(named ?? tiles.find((tile) => !tile.dataset.verdict) ?? tiles[0]);
