"""How the report looks: its style sheet."""

CSS = """
:root { color-scheme: light dark; --page: #f5f6f8; --card: #ffffff; --ink: #1c2330; --soft: #5c6675; --line: #dde1e7;
  --good: #1f8a54; --bad: #c7352f; --plain: #51606f; --accent: #2f6fb0; }
@media (prefers-color-scheme: dark) { :root { --page: #14171c; --card: #1d2229; --ink: #e6e9ee; --soft: #9aa5b3;
  --line: #323944; --good: #35a56c; --bad: #e0574f; --plain: #64748b; --accent: #6aa8e8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 20px 16px 60px; }
header h1 { margin: 0; font-size: 1.55rem; line-height: 1.25; overflow-wrap: anywhere; }
header p { margin: 4px 0 16px; color: var(--soft); overflow-wrap: anywhere; }
h2 { margin: 0 0 10px; font-size: 1.12rem; }
h3 { margin: 18px 0 6px; font-size: .95rem; color: var(--soft); font-weight: 600; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px;
  margin-top: 16px; }
.verdict { color: #fff; background: var(--plain); border: 0; }
.verdict.pass { background: var(--good); } .verdict.fail { background: var(--bad); }
.verdict h2 { font-size: 1.5rem; margin: 0; }
.verdict ul { margin: 8px 0 0; padding: 0; list-style: none; } .verdict p { margin: 6px 0 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 16px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; }
.card b { display: block; font-size: 1.55rem; line-height: 1.2; font-weight: 650; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
.scroll > svg { min-width: 680px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { font-weight: 600; color: var(--soft); font-size: .86rem; }
th:first-child, td:first-child { text-align: left; }
tbody tr:last-child > * { border-bottom: 0; }
table.facts th, table.facts td { text-align: left; vertical-align: top; white-space: normal;
  overflow-wrap: anywhere; }
table.facts th { width: 15em; }
table.classes { max-width: 720px; }
.scroll + .facts { margin-top: 12px; }
.swatch { display: inline-block; width: .85em; height: .85em; border-radius: 3px; margin-right: .5em;
  vertical-align: -1px; border: 1px solid rgba(128, 128, 128, .6); }
.bar { display: inline-block; width: 150px; height: .62em; background: var(--line); border-radius: 4px;
  overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--accent); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: .87rem; color: var(--soft); margin-top: 10px; }
.legend span { white-space: nowrap; }
table.confusion { width: auto; font-size: .78rem; }
table.confusion td, table.confusion th { padding: 3px 5px; text-align: center; min-width: 2.4em; }
table.confusion th:first-child { text-align: right; }
table.confusion thead th { vertical-align: bottom; } table.confusion thead span { writing-mode: vertical-rl;
  transform: rotate(180deg); display: inline-block; }
video, .pictures img { display: block; width: 100%; height: auto; border-radius: 6px; }
.film { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 4fr); gap: 14px; margin-bottom: 12px; }
figure { margin: 0; } figcaption { font-size: .85rem; color: var(--soft); margin-top: 4px; }
.strip { display: grid; grid-template-columns: repeat(2, 1fr); gap: 8px; align-content: start; }
.pictures.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 8px; margin-bottom: 6px; }
.pictures.tiles.three { grid-template-columns: repeat(3, 1fr); }
@media (max-width: 700px) {
  .film { grid-template-columns: minmax(0, 1fr); } .strip { grid-template-columns: repeat(4, 1fr); }
  .pictures.tiles, .pictures.tiles.three { grid-template-columns: repeat(2, 1fr); }
  main { padding: 12px 8px 40px; } section { padding: 12px; } .cards { grid-template-columns: repeat(2, 1fr); }
  table.facts th { width: 9em; } .bar { width: 70px; } th, td { padding: 4px 6px; }
}
.worst + .worst { margin-top: 20px; }
.note { color: var(--soft); font-size: .87rem; margin: 8px 0 0; }
"""
