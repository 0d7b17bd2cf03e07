"""How a kernel is made wrong: textual rules over one line of template text.

A rule is a name, a pattern and a replacement; each match of the pattern on a line of kernel text is a site. Lines of Lua,
comments, preprocessor lines and declarations of types are left alone: a change there is no typical mistake of a kernel's
author, or does not compile.
"""
import re

EXPR = r"[A-Za-z_][\w.]*(?:->\w+)?(?:\[[^\]]*\])*"  # a variable, a member, an element
# Which warps come late when what ordered them is gone, so that it goes wrong for certain: the odd ones, the even ones, and none.
LATE = ["if (threadIdx.x / 32 % 2 == 1) __nanosleep(20000);", "if (threadIdx.x / 32 % 2 == 0) __nanosleep(20000);", ""]
COARSE = "0xfff80000u"  # keeps four bits of a float's fraction: no dtype rounds so coarsely

RULES = [
    # lost tail, lost head
    ("lost_last", r"(for \([^;]*; [\w\[\]]+ < )([^;&|]+)(; \w+\+\+)", r"\1(\2) - 1\3"),
    ("lost_last", r"(for \([^;]*; [\w\[\]]+ < )([^;&|]+)(; \w+ \+= )([^),]+)", r"\1(\2) - (\4)\3\4"),
    ("lost_first", r"(for \(\w+ \w+ = )0;", r"\g<1>1;"),
    ("lost_rest", r"^(\s*)(for \(; .*;)$", r"\1;"),
    # wrong mask edge
    ("edge", r"^(?!.*for \().*? (<|<=|>=|>) (?=[\w(])", {"<": "<=", "<=": "<", ">=": ">", ">": ">="}),
    ("condition", r"^(?!.*for \().*? (==|!=|&&|\|\|) ", {"==": "!=", "!=": "==", "&&": "||", "||": "&&"}),
    ("lost_guard", r"^(\s*)if \(.*\) (?:return|continue|break);", r"\1"),
    # index and pitch
    ("index", r"\[(\w+(?: [-+*] \w+)?)\](?=[^;{]*[;,)])", r"[\1 + 1]"),
    ("pitch", r"(\ba(?:\.|->)\w+_pitch)\b", r"(\1 + 1)"),
    ("divide", r"(?<=[\w)]) (/|%) (?=[\w(])", {"/": "%", "%": "/"}),
    # swapped operands, dropped term
    ("swapped_minus", rf"({EXPR}) - ({EXPR})", r"\2 - \1"),
    ("swapped_arguments", rf"\b({EXPR}), ({EXPR})\)", r"\2, \1)"),
    ("dropped_term", rf" [-+] {EXPR}(?=[;,)\]])", r""),
    ("dropped_factor", rf" \* (?:{EXPR}|\d[\w.]*)(?=[;,)\] ])", r""),
    ("min_max", r"\b(min|max|fminf|fmaxf|min_i32|max_i32|max_f32|warp_max)\(",
     {"min": "max", "max": "min", "fminf": "fmaxf", "fmaxf": "fminf", "min_i32": "max_i32", "max_i32": "min_i32",
      "max_f32": "-max_f32", "warp_max": "warp_sum"}),
    # stale state, sums that are not carried on
    ("stale", rf"^(\s*){EXPR} (?:=|[-+*^]=) [^;]*;$", r"\1;"),
    ("not_carried", rf"({EXPR}) [+*]= (?=[^;]*;$)", r"\1 = "),
    # missing initialisation: what a variable would hold is something else
    ("initial", r"(= )0\.0f;", r"\g<1>1.0f;"),
    ("initial_least", r"(= )(?:-infinity|minus_infinity\(\)|-INFINITY);", r"\g<1>0.0f;"),
    # wrong rounding
    ("rounding", r"\b(from_float<\w+>)\((\w[\w\[\]]*)\)", rf"\1(__uint_as_float(__float_as_uint(\2) & {COARSE}))"),
    ("rounding", r"(_from_float)\((\w[\w\[\]]*)\)", rf"\1(bits_float(float_bits(\2) & {COARSE}))"),
    # missing barrier, missing wait
    ("barrier", r"__syncthreads\(\);", r";"),
    # (ptxas itself waits for wgmma where its sums are used: leaving that wait out is slow, not wrong)
    ("no_wait", r"^(\s*)(?:cp_async_wait<.*>|barrier_wait)\(.*\);", r"\1;"),
    ("shuffle", r"(__shfl_xor_sync\([^;)]*, )(\w+)\)", r"\g<1>\2 / 2)"),
]


def delayed(line, late):
    """The line with some warps coming late: behind its barrier, or at the start of its kernel."""
    line = line.replace("__syncthreads();", "__syncthreads(); " + late) if "//" not in line.split("__syncthreads")[0] else line
    return line + " " + late if re.search(r"__grid_constant__ .*\) \{$", line) else line


def code_of(line):
    """The part of a line that is kernel text; empty for lines that are left alone."""
    code = line.split("//")[0].rstrip()
    if re.match(r"\s*($|\$|#|\*|typedef|template|enum|constexpr|static_assert|static constexpr|extern \"C\"|asm|:|\")", code):
        return ""
    return code


DECLARES = re.compile(r"\s*(?:const |static |__shared__ |__align__\(\d+\) |alignas\(\d+\) )*(?!return )[A-Za-z_]\w*(?:<[^>]*>)? \*?\w+\[")


def replaced(match, replacement):
    """The line's text after one replacement: a template, or a table for the pattern's last group."""
    text = match.string
    if isinstance(replacement, dict):
        start, end = match.span(match.lastindex)
        return text[:start] + replacement[text[start:end]] + text[end:]
    return text[:match.start()] + match.expand(replacement) + text[match.end():]


def overlapping(pattern, text):
    """All matches; for patterns that begin at the line's start, one for each place their group can have."""
    if not pattern.startswith("^(?!"):
        yield from re.finditer(pattern, text)
        return
    prefix, rest = pattern.split(".*?", 1)
    if re.match(prefix, text):
        yield from re.finditer(rest, text)


def mutants_of_line(line):
    """Yields (rule, which match, mutated line)."""
    code = code_of(line)
    if not code:
        return
    tail = line[len(code):]
    for name, pattern, replacement in RULES:
        if name == "index" and DECLARES.match(code):  # the extents of an array, not an index into it
            continue
        for number, match in enumerate(overlapping(pattern, code)):
            changed = replaced(match, replacement)
            if changed.strip() != code.strip():
                yield name, number, changed + tail
