// The audit: what was kept of each bin, and the choice of the rate to drop.

import { inTurn, post, start, tiles } from "./votes.js";

const grid = document.getElementById("grid");
const chosen = document.getElementById("chosen");
const percent = (share) => `${Number((100 * share).toPrecision(4))} %`;

function tellShares() {
  for (const bin of document.querySelectorAll(".bin")) {
    const verdicts = [...bin.querySelectorAll(".tile")].map((tile) => tile.dataset.verdict);
    const voted = verdicts.filter(Boolean).length;
    const kept = verdicts.filter((verdict) => verdict === "keep").length;
    const said = voted ? `you kept ${kept} of ${voted}: ${percent(kept / voted)}` : "no vote of yours";
    bin.querySelector(".share").textContent = said;
  }
}

function tellChoice(drop) {
  chosen.replaceChildren();
  if (drop === "") return chosen.append("No rate chosen yet.");
  const line = document.createElement("code");
  line.textContent = `--config.filter.drop=${drop}`;
  chosen.append(`Chosen: r = ${percent(drop)}. A new run drops as much with `, line);
}

if (grid) {
  document.addEventListener("shown", tellShares);
  start();
  if (tiles.length) tiles[0].tabIndex = 0;
  tiles.slice(1).forEach((tile) => (tile.tabIndex = -1));
  tellChoice(chosen.dataset.drop);
  const buttons = [...document.querySelectorAll(".choose")];
  for (const button of buttons) {
    button.addEventListener("click", () =>
      inTurn(async () => {
        const answer = await post("/choice", { score: grid.dataset.score, bin: Number(button.dataset.bin) });
        if (!answer) return;
        buttons.forEach((other) => other.setAttribute("aria-pressed", other === button));
        tellChoice(answer.drop);
      }),
    );
  }
}
