"""Turns what `tmux capture-pane -e -p` prints (text with SGR escapes) into an SVG picture."""

import re
import sys
import unicodedata
from html import escape

CELL_WIDTH, CELL_HEIGHT, MARGIN = 8.4, 18, 14
BACKGROUND, FOREGROUND = "#16181d", "#d7dae0"
COLOURS = [
    "#2b2f38", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf",
    "#7d8590", "#ff7b86", "#b5e890", "#ffd787", "#82c4ff", "#dd9bf0", "#7fd8e4", "#ffffff",
]


def colour_256(number):
    """The colour with this number in the palette of 256."""
    if number < 16:
        return COLOURS[number]
    if number < 232:
        number -= 16
        levels = [0, 95, 135, 175, 215, 255]
        return "#%02x%02x%02x" % (levels[number // 36], levels[number // 6 % 6], levels[number % 6])
    grey = 8 + (number - 232) * 10
    return "#%02x%02x%02x" % (grey, grey, grey)


class Style:
    """The rendition that SGR (ECMA-48, 8.3.117) has set."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.fore = self.back = None
        self.bold = self.dim = self.italic = self.underline = self.reverse = False

    def apply(self, codes):
        codes = [int(code or 0) for code in codes.split(";")] if codes else [0]
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.reset()
            elif code in (1, 2, 3, 4, 7):
                setattr(self, {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse"}[code], True)
            elif code == 22:
                self.bold = self.dim = False
            elif code in (23, 24, 27):
                setattr(self, {23: "italic", 24: "underline", 27: "reverse"}[code], False)
            elif 30 <= code <= 37 or 90 <= code <= 97:
                self.fore = COLOURS[code - 30 if code < 90 else code - 82]
            elif 40 <= code <= 47 or 100 <= code <= 107:
                self.back = COLOURS[code - 40 if code < 100 else code - 92]
            elif code in (38, 48):
                kind = codes.pop(0)
                value = colour_256(codes.pop(0)) if kind == 5 else "#%02x%02x%02x" % tuple(codes.pop(0) for _ in range(3))
                if code == 38:
                    self.fore = value
                else:
                    self.back = value
            elif code == 39:
                self.fore = None
            elif code == 49:
                self.back = None

    def look(self):
        fore, back = self.fore or FOREGROUND, self.back
        if self.reverse:
            fore, back = back or BACKGROUND, fore
        return fore, back, self.bold, self.dim, self.italic, self.underline


def runs(line, style):
    """The line as (column, width, text, look)."""
    column = 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            style.apply(part[2:-1])
            continue
        width = 0
        for character in part:
            if unicodedata.combining(character) or character in "\u200d\ufe0f":
                continue
            width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if part:
            yield column, width, part, style.look()
        column += width


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    columns = 96
    width = columns * CELL_WIDTH + 2 * MARGIN
    height = len(lines) * CELL_HEIGHT + 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" '
        f'height="{height}" font-family="ui-monospace, \'DejaVu Sans Mono\', Menlo, Consolas, monospace" font-size="14">',
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
    ]
    style = Style()
    for row, line in enumerate(lines):
        y = MARGIN + row * CELL_HEIGHT
        for column, cells, text, (fore, back, bold, dim, italic, underline) in runs(line, style):
            x = MARGIN + column * CELL_WIDTH
            if back:
                out.append(f'<rect x="{x:.1f}" y="{y}" width="{cells * CELL_WIDTH:.1f}" height="{CELL_HEIGHT}" fill="{back}"/>')
            if text.strip():
                more = ' font-weight="bold"' if bold else ""
                more += ' opacity="0.6"' if dim else ""
                more += ' font-style="italic"' if italic else ""
                more += ' text-decoration="underline"' if underline else ""
                out.append(
                    f'<text x="{x:.1f}" y="{y + 13.5}" fill="{fore}"{more} xml:space="preserve" '
                    f'textLength="{cells * CELL_WIDTH:.1f}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
                )
    out.append("</svg>")
    print("\n".join(out))


main()
