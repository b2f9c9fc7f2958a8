// The rater's name.

import { post } from "./votes.js";

document.getElementById("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await post("/name", { name: document.getElementById("name").value })) location.assign("/");
});
