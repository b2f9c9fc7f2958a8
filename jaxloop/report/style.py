"""The page's style sheet: one column of text, wide figures, a phone, print and dark mode. It loads nothing."""

CSS = """
:root { --ink: #1a1a1a; --soft: #5a5a5a; --line: #dcdcdc; --paper: #fff; --wash: #f5f6f8;
        --grew: #a33c00; --grew-wash: #fdeee4; --shrank: #00624a; --shrank-wash: #e3f4ee; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --soft: #a8a8a8; --line: #3c3f44; --paper: #17191c; --wash: #212429;
          --grew: #ffb38a; --grew-wash: #43281a; --shrank: #7fdcbf; --shrank-wash: #14372d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.25rem; margin: 0; font-weight: 600; color: var(--soft); }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .5rem; padding-top: .8rem; border-top: 1px solid var(--line); }
p, li { max-width: 75ch; }
p { margin: .5rem 0; } ul { margin: .4rem 0; padding-left: 1.2rem; }
.question { font-size: 1.7rem; line-height: 1.25; font-weight: 650; margin: .3rem 0 1.2rem; max-width: 34ch; }
.answer { background: var(--wash); border-left: 5px solid var(--ink); padding: .8rem 1.1rem; border-radius: 0 6px 6px 0; }
.answer p { margin: .2rem 0; } .headline { font-size: 1.25rem; font-weight: 650; }
.facts, figcaption, .small { color: var(--soft); font-size: .88rem; }
.warning { border-left: 5px solid #e69f00; background: var(--wash); padding: .5rem 1.1rem; margin: 1rem 0; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); font-size: .88rem; padding-bottom: .4rem; }
caption span { display: block; min-width: min(24rem, calc(100vw - 2.5rem)); max-width: min(75rem, calc(100vw - 2.5rem)); }
th, td { padding: .3rem .5rem; text-align: left; white-space: nowrap; vertical-align: baseline; }
th:first-child, td:first-child { padding-left: .2rem; }
thead th { border-bottom: 2px solid var(--ink); font-weight: 600; white-space: normal; vertical-align: bottom; }
tr.first td { border-top: 1px solid var(--line); } tr.first td:first-child { font-weight: 600; }
.number { text-align: right; }
.verdict { padding: .05rem .5rem; border-radius: 4px; font-weight: 600; }
.grew { color: var(--grew); background: var(--grew-wash); }
.shrank { color: var(--shrank); background: var(--shrank-wash); }
.decided { background: var(--wash); }
.unclear { color: var(--soft); background: var(--wash); font-weight: 400; }
figure { margin: 1rem 0; }
figure svg { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px; padding: .4rem 0; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
.narrow { display: none !important; }
.grids { display: grid; grid-template-columns: repeat(auto-fill, min(100%, var(--cell))); gap: .75rem; }
.grids figure { margin: 0; }
.grids img { width: 100%; height: auto; display: block; image-rendering: pixelated; background: #fff; }
details { margin: .8rem 0; } summary { cursor: pointer; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; font-size: .92rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; max-width: 75ch; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
@media screen and (max-width: 640px) {
  main { padding: 1rem .9rem 3rem; } .question { font-size: 1.35rem; }
  .wide { display: none !important; } .narrow { display: block !important; }
  th, td { padding: .3rem .35rem; } td:not(.number) { white-space: normal; } .verdict { white-space: nowrap; } table { font-size: .84rem; } dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; }
}
@media print {
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; } figure, tr, .answer { break-inside: avoid; }
  h2 { break-after: avoid; } .scroll { overflow: visible; } table { font-size: .78rem; } th, td { padding: .15rem .4rem; }
}
"""
