"""The C of a header, with `@key@` where a value goes."""

from __future__ import annotations

import re


def fill(text: str, values: dict[str, str]) -> str:
    """Put values where their keys stand; values aren't looked into.

    Args:
        text: with `@key@`.
        values: for each key.
    """
    return re.sub(r"@(\w+)@", lambda found: values[found.group(1)], text)


DECLARED = """\
/* A weightless network: @tables@ tables a class, @inputs@ bits to a table, @classes@ classes, @features@ bits a sample.
   C99. Include it where it is used; in one file of the program, define @N@_IMPLEMENTATION before. */
#ifndef @N@_HEADER
#define @N@_HEADER
#include <stdint.h>

#define @N@_FEATURES @features@
#define @N@_TABLES @tables@
#define @N@_INPUTS @inputs@
#define @N@_SIZE @size@
#define @N@_CLASSES @classes@
#define @N@_MAPPING_BYTES @map_bytes@
#define @N@_CHECKSUM @crc@u /* what @n@_checksum() returns while no bit has changed */

#ifdef __cplusplus
extern "C" {
#endif
extern const char *const @n@_labels[@N@_CLASSES]; /* UTF-8, in the order of the classes */
void @n@_votes(const uint8_t *bits, uint16_t *votes); /* @N@_FEATURES bytes of 0 or 1 in, @N@_CLASSES counts out */
int @n@_predict(const uint8_t *bits); /* the class with the most votes, the first on a tie */
uint32_t @n@_checksum(void); /* CRC-32 of tables or states */
@encode_declared@
"""

_CLOSE = """
#ifdef __cplusplus
}
#endif
#endif /* @N@_HEADER */

#if defined(@N@_IMPLEMENTATION) && !defined(@N@_IMPLEMENTED)
#define @N@_IMPLEMENTED
#ifdef __cplusplus
extern "C" {
#endif

const char *const @n@_labels[@N@_CLASSES] = {
@labels@};

static const @index@ @n@_mapping[@N@_TABLES * @N@_INPUTS] = {
@mapping@};

#define @N@_BIT(bits, i) (@padding@)

static uint32_t @n@_address(const uint8_t *bits, uint32_t table) {
    const @index@ *inputs = @n@_mapping + (uint32_t)(table * @N@_INPUTS);
    uint32_t address = 0, b;
    for (b = 0; b < @N@_INPUTS; ++b) {
        address = (address << 1) | (uint32_t)(@N@_BIT(bits, inputs[b]));
    }
    return address;
}

int @n@_predict(const uint8_t *bits) {
    uint16_t votes[@N@_CLASSES];
    int c, best = 0;
    @n@_votes(bits, votes);
    for (c = 1; c < @N@_CLASSES; ++c) {
        if (votes[c] > votes[best]) {
            best = c;
        }
    }
    return best;
}

static uint32_t @n@_crc(uint32_t crc, uint32_t byte) {
    int k;
    crc ^= byte;
    for (k = 0; k < 8; ++k) {
        crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return crc;
}
@encode_defined@"""

_END = """
#ifdef __cplusplus
}
#endif
#endif /* @N@_IMPLEMENTATION */
"""

FIXED = (
    "#define @N@_TABLE_BYTES @bytes@ /* constant; no static RAM */\n"
    + _CLOSE
    + """
typedef @word@ @n@_word; /* one bit a class, the first class lowest */

static const @n@_word @n@_tables[@N@_TABLES * @N@_SIZE * @words@] = {
@constants@};

/* A full adder on all classes at once: high and low get the sum of three bits. */
#define @N@_ADD(high, low, a, b, c) do { \\
        const @n@_word odd_ = (@n@_word)((a) ^ (b)), third_ = (c); \\
        (high) = (@n@_word)(((a) & (b)) | (odd_ & third_)); \\
        (low) = (@n@_word)(odd_ ^ third_); \\
    } while (0)

static void @n@_carry(@n@_word *plane, int from, @n@_word carry) {
    int p;
    for (p = from; p < @planes@; ++p) {
        const @n@_word next = (@n@_word)(plane[p] & carry);
        plane[p] = (@n@_word)(plane[p] ^ carry);
        carry = next;
    }
}

/* Bit c of plane[w][p] is bit p of the count of class @width@ w + c. Eight tables at a time go through seven adders. */
void @n@_votes(const uint8_t *bits, uint16_t *votes) {
    @n@_word plane[@words@][@planes@] = {{0}};
    uint32_t j = 0, k, w, c;
    for (; j + 8 <= @N@_TABLES; j += 8) {
        const @n@_word *row[8];
        for (k = 0; k < 8; ++k) {
            row[k] = @n@_tables + ((j + k) * (uint32_t)@N@_SIZE + @n@_address(bits, j + k)) * @words@u;
        }
        for (w = 0; w < @words@; ++w) {
            @n@_word *own = plane[w], two[2], four[2], eight;
            for (k = 0; k < 2; ++k) {
                const @n@_word *const *at = row + 4 * k;
                @N@_ADD(two[0], own[0], own[0], at[0][w], at[1][w]);
                @N@_ADD(two[1], own[0], own[0], at[2][w], at[3][w]);
                @N@_ADD(four[k], own[1], own[1], two[0], two[1]);
            }
            @N@_ADD(eight, own[2], own[2], four[0], four[1]);
            @n@_carry(own, 3, eight);
        }
    }
    for (; j < @N@_TABLES; ++j) {
        const @n@_word *row = @n@_tables + (j * (uint32_t)@N@_SIZE + @n@_address(bits, j)) * @words@u;
        for (w = 0; w < @words@; ++w) {
            @n@_carry(plane[w], 0, row[w]);
        }
    }
    for (c = 0; c < @N@_CLASSES; ++c) {
        uint32_t count = 0, p;
        for (p = 0; p < @planes@; ++p) {
            count |= (((uint32_t)plane[c / @width@][p] >> (c % @width@)) & 1u) << p;
        }
        votes[c] = (uint16_t)count;
    }
}

uint32_t @n@_checksum(void) {
    uint32_t crc = 0xFFFFFFFFu, i, b;
    for (i = 0; i < (uint32_t)@N@_TABLES * @N@_SIZE * @words@; ++i) {
        for (b = 0; b < @width@; b += 8) {
            crc = @n@_crc(crc, ((uint32_t)@n@_tables[i] >> b) & 255u);
        }
    }
    return ~crc;
}
"""
    + _END
)

LEARN_DECLARED = """
/* One step of training, in place: where the class that is predicted (the first on a tie) isn't `label`, each table
   raises the label's state at this sample's address by one with chance 1/2, and by another draw lowers the predicted
   class's. Draws are bits of the register *lfsr, which the caller keeps (0 is taken as 1). Labels outside
   0..@classes@ - 1 change nothing. Static RAM: @N@_RAM_BYTES bytes, the states. */
#define @N@_RAM_BYTES @bytes@
#define @N@_MIDDLE @middle@
#define @N@_TOP @top@
void @n@_update(const uint8_t *bits, int label, uint32_t *lfsr);
"""

LEARNING = (
    LEARN_DECLARED
    + _CLOSE
    + """
static @state@ @n@_states[@N@_TABLES * @N@_SIZE * @N@_CLASSES] = {
@constants@};

void @n@_votes(const uint8_t *bits, uint16_t *votes) {
    uint32_t j, c;
    for (c = 0; c < @N@_CLASSES; ++c) {
        votes[c] = 0;
    }
    for (j = 0; j < @N@_TABLES; ++j) {
        const @state@ *row = @n@_states + (j * (uint32_t)@N@_SIZE + @n@_address(bits, j)) * @N@_CLASSES;
        for (c = 0; c < @N@_CLASSES; ++c) {
            votes[c] = (uint16_t)(votes[c] + (row[c] >= @N@_MIDDLE));
        }
    }
}

/* Galois register of x^32 + x^22 + x^2 + x + 1, of the longest period. */
static uint32_t @n@_draw(uint32_t *lfsr) {
    const uint32_t bit = *lfsr & 1u;
    *lfsr = (*lfsr >> 1) ^ (0x80200003u & (0u - bit));
    return bit;
}

void @n@_update(const uint8_t *bits, int label, uint32_t *lfsr) {
    const int rival = @n@_predict(bits);
    uint32_t j;
    if (*lfsr == 0) {
        *lfsr = 1u;
    }
    if (rival == label || label < 0 || label >= @N@_CLASSES) {
        return;
    }
    for (j = 0; j < @N@_TABLES; ++j) {
        @state@ *row = @n@_states + (j * (uint32_t)@N@_SIZE + @n@_address(bits, j)) * @N@_CLASSES;
        const uint32_t reward = @n@_draw(lfsr), penalty = @n@_draw(lfsr);
        if (reward && row[label] < @N@_TOP) {
            ++row[label];
        }
        if (penalty && row[rival] > 0) {
            --row[rival];
        }
    }
}

uint32_t @n@_checksum(void) {
    uint32_t crc = 0xFFFFFFFFu, i, b;
    for (i = 0; i < (uint32_t)@N@_TABLES * @N@_SIZE * @N@_CLASSES; ++i) {
        for (b = 0; b < 8 * sizeof(@state@); b += 8) {
            crc = @n@_crc(crc, ((uint32_t)@n@_states[i] >> b) & 255u);
        }
    }
    return ~crc;
}
"""
    + _END
)

_RUN = """\
#define @N@_IMPLEMENTATION
#include "network.h"
#include <stdio.h>

static uint8_t bits[@N@_FEATURES];
static uint16_t votes[@N@_CLASSES];

int main(int count, char **names) {
    FILE *in, *out;
    const uint32_t crc = @n@_checksum();
    if (count < 4 || !(out = fopen(names[1], "wb")) || !(in = fopen(names[2], "rb"))) {
        return 2;
    }
    fwrite(&crc, 4, 1, out);
    while (fread(bits, 1, sizeof bits, in) == sizeof bits) {
        const int32_t best = @n@_predict(bits);
        @n@_votes(bits, votes);
        fwrite(votes, 2, @N@_CLASSES, out);
        fwrite(&best, 4, 1, out);
    }
    fclose(in);
    if (!(in = fopen(names[3], "rb"))) {
        return 2;
    }
@more@    fclose(in);
    return fclose(out) != 0;
}
"""

RUN_FIXED = _RUN.replace("@more@", "")

RUN_ENCODED = _RUN.replace(
    "@more@",
    """\
    {
        static double x[@N@_NUMBERS];
        while (fread(x, sizeof(double), @N@_NUMBERS, in) == @N@_NUMBERS) {
            @n@_encode(x, bits);
            fwrite(bits, 1, sizeof bits, out);
        }
    }
""",
)

RUN_LEARNING = _RUN.replace(
    "@more@",
    """\
    {
        int32_t label;
        uint32_t lfsr = 0xACE1u;
        while (fread(&label, 4, 1, in) == 1 && fread(bits, 1, sizeof bits, in) == sizeof bits) {
            @n@_update(bits, label, &lfsr);
        }
        fwrite(&lfsr, 4, 1, out);
        fwrite(@n@_states, 1, sizeof @n@_states, out);
    }
""",
)
