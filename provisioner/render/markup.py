"""The markup of the pages, and the only way to put a value into it.

Owns every element of a page; ``html`` and ``status_html`` own their text. No value can become
markup: :func:`filled` writes out invisible characters, and markupsafe escapes the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from markupsafe import Markup, escape

from provisioner.render.lines import printable

EMPTY: Final = Markup()
SPACE: Final = Markup(" ")
TEXT: Final = Markup("%s")


def filled(template: Markup, *values: str | int) -> Markup:
    """Return ``template`` with a value for each ``%s``: markup as it is, anything else as text.

    Raises:
        TypeError: the number of values and the number of ``%s`` differ.

    """
    # Markup's own ``%`` does the same, but makes an object for each value, and a page has many.
    return Markup(str.__mod__(template, tuple(map(_inert, values))))  # noqa: S704  # each value is inert


def joined(parts: Iterable[Markup], between: Markup = EMPTY) -> Markup:
    """Return the pieces of markup joined together."""
    return between.join(parts)


def _inert(value: str | int) -> Markup:
    """Return markup as it is, and anything else as escaped text, with invisible characters written out."""
    return value if isinstance(value, Markup) else escape(printable(str(value)))


# ── The page ─────────────────────────────────────────────────────────────────

PAGE: Final = Markup("""\
<!DOCTYPE html>
<html lang="en">
%s<body>
<a class="skip" href="#main">Skip to the %s</a>
<header>
<h1>%s</h1>
%s</header>
%s<main id="main">
%s</main>
<footer>%s</footer>
<script>%s</script>
</body>
</html>
""")
HEAD: Final = Markup("""\
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="%s">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="%s">
<title>%s</title>
<style>%s</style>
</head>
""")
FILTER: Final = Markup("""\
<form id="filter" role="search" aria-label="Filter the %s" data-rows="%s" data-folded="%s" hidden>
<label>Filter <input type="search" autocomplete="off" spellcheck="false" placeholder="%s"></label>
<button type="reset">Show all</button>
<p id="found" role="status" aria-live="polite"></p>
%s</form>
""")
NAVIGATION: Final = Markup('<nav aria-label="Parents"><ul>\n%s</ul></nav>\n')
PARENT_LINK: Final = Markup('<li><a href="#parent-%s">%s</a> <span>%s</span></li>\n')
BOXES: Final = Markup("<fieldset><legend>Only</legend>\n%s</fieldset>\n")
BOX: Final = Markup('<label><input type="checkbox" value="%s">%s (%s)</label>\n')
CODE: Final = Markup("<code>%s</code>")
PLAN_DIGEST: Final = Markup("<p>Plan <code>%s</code></p>")

# ── A parent ─────────────────────────────────────────────────────────────────

SECTION: Final = Markup("""\
<section aria-labelledby="parent-%s">
<div class="title"><h2 id="parent-%s">%s</h2><p>%s</p></div>
<p class="slots">%s</p>
%s%s%s<p class="summary">%s</p>
%s<p class="no-match" hidden>Nothing of this parent matches the filter.</p>
%s</section>
""")
TERMS: Final = Markup('<ul class="%s">\n%s</ul>\n')
TERM: Final = Markup("<li>%s</li>\n")
UNPLANNED: Final = Markup('<p class="refused"><strong>Not planned</strong>: %s</p>\n')
REFUSED: Final = Markup('<p class="refused"><strong>Refused</strong>: %s</p>\n')
FROZEN: Final = Markup('<p class="refused"><strong>Frozen</strong>: %s</p>\n')
TABLE: Final = Markup("""\
<div class="%s"><table>
%s
<thead><tr><th scope="col">%s</th><th scope="col">%s</th><th scope="col">%s</th></tr></thead>
<tbody>
%s</tbody></table></div>
""")
CAPTION: Final = Markup("<caption>%s</caption>")
CAPTION_READ_OUT: Final = Markup('<caption class="read">%s</caption>')
FOLDED: Final = Markup("<details><summary>%s</summary>\n%s</details>\n")
FOLDED_LIST: Final = Markup('<ul class="same">\n%s</ul>\n')
FOLDED_ACCOUNT: Final = Markup('<li><span class="name">%s</span> <span>%s</span></li>\n')

# ── The gauge ────────────────────────────────────────────────────────────────

# Its patterns, once per page: slanted stripes, dots, bars, crosses.
PATTERNS: Final = Markup("""\
<svg class="patterns" width="0" height="0" aria-hidden="true" focusable="false"><defs>
<pattern id="questioned" width="8" height="8" patternUnits="userSpaceOnUse">\
<rect class="back" width="8" height="8"/><path class="ink-alarm" d="M-2 10 10 -2M-2 2 2 -2M6 10 10 6"/></pattern>
<pattern id="dotted" width="8" height="8" patternUnits="userSpaceOnUse">\
<rect class="back" width="8" height="8"/><circle class="dot-used" cx="4" cy="4" r="1.8"/></pattern>
<pattern id="ruled" width="8" height="8" patternUnits="userSpaceOnUse">\
<rect class="back" width="8" height="8"/><path class="ink-planned" d="M0 4H8"/></pattern>
<pattern id="crossed" width="9" height="9" patternUnits="userSpaceOnUse">\
<rect class="back" width="9" height="9"/><path class="ink-alarm" d="M0 0 9 9M9 0 0 9"/></pattern>
</defs></svg>
""")
GAUGE: Final = Markup("""\
<svg class="%s" aria-hidden="true" focusable="false">
%s%s<rect class="frame" width="100%%" height="100%%"/>
%s%s</svg>
""")
LEGENDS: Final = Markup('<ul class="legend">\n%s</ul>\n')
SEGMENT: Final = Markup('<rect class="%s" x="%s" width="%s" height="100%%"/>\n')
BETWEEN: Final = Markup('<line x1="%s" x2="%s" y1="0" y2="100%%"/>\n')
BETWEEN_FREE: Final = Markup('<line class="free" x1="%s" x2="%s" y1="0" y2="100%%"/>\n')
LIMIT: Final = Markup('<line class="limit" x1="%s" x2="%s" y1="-15%%" y2="115%%"/>\n')
NUMBER: Final = Markup('<text x="%s" y="50%%">%s</text>\n')
LEGEND: Final = Markup(
    '<li><svg aria-hidden="true" focusable="false"><rect class="%s" width="100%%" height="100%%"/></svg>%s</li>\n'
)

# ── A change ─────────────────────────────────────────────────────────────────

ROW: Final = Markup('%s<th scope="row" class="name">%s</th>\n<td>%s</td></tr>\n')
ROW_LABEL: Final = Markup(
    '<tr data-action="%s"><td><span class="mark do-%s"><b aria-hidden="true">%s</b> %s</span></td>\n'
)
EXPLANATION: Final = Markup("<p>%s</p>")
ATTRIBUTES: Final = Markup("<dl>%s</dl>")
# Its second place is filled after the list is made.
ATTRIBUTE: Final = Markup("<div><dt>%s</dt> <dd>%%s</dd></div>\n")
NOTE: Final = Markup('<p class="note">%s</p>')
FIELDS: Final = Markup('<ul class="fields">%s</ul>')
FIELD: Final = Markup('<li><span class="path">%s</span> %s</li>\n')
BEFORE_AFTER: Final = Markup(
    '<span class="read">from </span>%s <span aria-hidden="true">→</span><span class="read"> to </span>%s%s'
)
BEFORE: Final = Markup("<del>%s</del>")
AFTER: Final = Markup("<ins>%s</ins>")
NOTHING: Final = Markup('<span class="none">%s</span>')
REMARK: Final = Markup(' <span class="quiet">%s</span>')

# ── A status ─────────────────────────────────────────────────────────────────

LEAD: Final = Markup('<p class="%s">%s</p>\n')
FOOT: Final = Markup("<p>%s</p>")
PART: Final = Markup("""\
<section aria-labelledby="%s">
<h2 id="%s">%s</h2>
%s<p class="no-match" hidden>Nothing here matches the filter.</p>
</section>
""")
PARENT_ROW: Final = Markup(
    '<tr data-action="parent"><th scope="row" class="name whole">%s</th>\n<td class="whole">%s</td>\n<td>%s</td></tr>\n'
)
OPERATION_ROW: Final = Markup(
    '<tr data-action="operation"><td class="whole">%s</td>\n<th scope="row" class="name">%s</th>\n<td>%s</td></tr>\n'
)
HOLDER: Final = Markup('<p class="holder">%s</p>')
ACCOUNT_OF: Final = Markup('%s <span class="quiet">of %s</span>')
