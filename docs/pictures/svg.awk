# Draws what `tmux capture-pane -ep` shows as a picture: awk -v columns=104 -f svg.awk < screen > picture.svg
#
# Every run of characters of one look is placed by its column, so that columns stand below each other in any font.

BEGIN {
    wide = 8.4; high = 18; border = 14
    split("#3b4252 #e06c75 #98c379 #e5c07b #61afef #c678dd #56b6c2 #d7dae0", base)
    ground = "#1e2127"; ink = "#d7dae0"
}

{ lines[NR] = $0; if ($0 != "") last = NR }

END {
    width = columns * wide + 2 * border; height = last * high + 2 * border
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" xml:space=\"preserve\" ", width, height, width, height
    print "font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">"
    printf "<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"%s\"/>\n", ground
    look("0")
    for (row = 1; row <= last; row++) line(lines[row])
    print "</svg>"
}

function line(text,    at, run) {
    column = 0
    while (text != "") {
        if (match(text, /^\033\[[0-9;]*m/)) {
            look(substr(text, 3, RLENGTH - 3))
            text = substr(text, RLENGTH + 1)
            continue
        }
        at = index(text, "\033")
        run = at == 0 ? text : substr(text, 1, at - 1)
        if (run == "") { text = substr(text, 2); continue }
        draw(run)
        text = substr(text, length(run) + 1)
    }
}

function draw(run,    x, y, front, back) {
    x = border + column * wide; y = border + (row - 1) * high
    front = fore == "" ? ink : fore; back = behind
    if (reversed) { back = front; front = ground }
    if (back != "") printf "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", x, y, length(run) * wide + 0.3, high, back
    if (run ~ /[^ ]/) {
        printf "<text x=\"%.1f\" y=\"%.1f\" textLength=\"%.1f\" fill=\"%s\"%s%s%s>", x, y + 13.5, length(run) * wide, front, \
            bold ? " font-weight=\"bold\"" : "", dim ? " opacity=\"0.55\"" : "", under ? " text-decoration=\"underline\"" : ""
        print escaped(run) "</text>"
    }
    column += length(run)
}

function escaped(text) {
    gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text)
    return text
}

# Changes the look as the codes of one sequence say.
function look(codes,    code, count, at) {
    count = split(codes == "" ? "0" : codes, code, ";")
    for (at = 1; at <= count; at++) {
        if (code[at] == 0) { fore = behind = ""; bold = dim = under = reversed = 0 }
        else if (code[at] == 1) bold = 1
        else if (code[at] == 2) dim = 1
        else if (code[at] == 4) under = 1
        else if (code[at] == 7) reversed = 1
        else if (code[at] == 22) bold = dim = 0
        else if (code[at] == 24) under = 0
        else if (code[at] == 27) reversed = 0
        else if (code[at] >= 30 && code[at] <= 37) fore = base[code[at] - 29]
        else if (code[at] == 39) fore = ""
        else if (code[at] >= 40 && code[at] <= 47) behind = base[code[at] - 39]
        else if (code[at] == 49) behind = ""
        else if (code[at] >= 90 && code[at] <= 97) fore = base[code[at] - 89]
        else if (code[at] == 38) { fore = palette(code[at + 2]); at += 2 }
        else if (code[at] == 48) { behind = palette(code[at + 2]); at += 2 }
    }
}

# A colour of the palette of 256: a cube of six levels, and greys behind it.
function palette(number,    level) {
    if (number < 16) return base[number % 8 + 1]
    if (number >= 232) { level = 8 + 10 * (number - 232); return sprintf("#%02x%02x%02x", level, level, level) }
    number -= 16
    return sprintf("#%02x%02x%02x", step(int(number / 36)), step(int(number / 6) % 6), step(number % 6))
}

function step(level) { return level ? 55 + 40 * level : 0 }
