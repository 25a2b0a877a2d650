"""A drawn abdomen: organs as smooth solids in millimetres, HU and noise as of a contrast CT.

Coordinates in mm from the middle of the body: x to the patient's left, y to the back, z to the
head. A solid is a level function: below 1 inside, 1 on the surface, above 1 outside. Later paint
covers earlier paint.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.filters import gaussian

from napari_medsam_lite.sample.fields import Canvas, Level, Region, smooth_union

SHAPE = (64, 256, 256)
SPACING = (3.0, 1.5, 1.5)
ORGANS = ("liver", "spleen", "right kidney", "left kidney", "aorta", "gallbladder")
LIVER, SPLEEN, RIGHT_KIDNEY, LEFT_KIDNEY, AORTA, GALLBLADDER = range(1, 7)

AIR, LUNG, FAT, WATER, SOFT, MUSCLE, BONE = -1000, -850, -98, 12, 62, 55, 520
NOISE_HU = 13.0
RIBS = 8


class Trunk(NamedTuple):
    """Level of the cavity inside the wall, and height in mm of the diaphragm, both (Z, Y, X)."""

    cavity: Level
    diaphragm: Level


def draw(seed: int) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Draw the abdomen: HU (64, 256, 256) int16, and organ ids of the same shape, uint8.

    Id i is ``ORGANS[i - 1]``; 0 is everything else.
    """
    canvas = Canvas.blank(SHAPE, SPACING, AIR, seed)
    trunk = _trunk(canvas)
    _back(canvas.part(x=(-100, 100), y=(20, 105)))
    _spine(canvas.part(x=(-46, 46), y=(25, 102)))
    _ribs(canvas)
    _bowel(canvas)
    _great_vessels(canvas.part(x=(-45, 40), y=(-30, 40)))
    _stomach_and_pancreas(canvas, trunk)
    _spleen(canvas, trunk)
    _liver(canvas, trunk)
    _kidneys(canvas)
    _lungs(canvas, trunk)
    _table(canvas.part(y=(100, 170)))
    return _scan(canvas), canvas.truth


def _trunk(c: Canvas) -> Trunk:
    """Skin, fat ring, muscle wall in two layers, and the fat inside with its vessels."""
    wobble = 0.015 * c.field((90, 90, 90))
    skin = c.ellipse((0, 0), (166, 113), 2.3) + wobble
    wall = c.ellipse((0, 2), (147, 95), 2.3) + wobble
    cavity = c.ellipse((0, 1), (136, 84), 2.3) + wobble
    c.paint(skin < 1, 25)
    c.paint(skin < 0.982, FAT)
    c.paint(wall < 1, MUSCLE)
    c.paint((wall > 0.955) & (wall < 0.966) & (wobble < 0.005), -30)
    c.paint(cavity < 1, FAT)
    c.paint((cavity < 0.93) & c.tubes((30, 22, 22), 0.26), 90)
    # Domes beyond the picture's top, low at the sides and lower still at the back.
    return Trunk(cavity, 114 - 82 * np.square(np.square(cavity)) - 0.22 * c.y)


def _back(c: Canvas) -> None:
    """Muscles beside the spine, streaked with fat; the psoas grows downwards."""
    streaks = np.where(c.tubes((40, 12, 12), 0.25), np.float32(-40), np.float32(MUSCLE))
    psoas = np.clip(14 - c.z * 0.12, 0.1, 21)
    for side in (-1, 1):
        c.paint(c.ellipse((side * 31, 79), (27, 19)) < 1, streaks)
        c.paint(c.ellipse((side * 70, 66), (22, 8)) < 1, MUSCLE)
        c.paint(np.hypot((c.x - side * 38) / psoas, (c.y - 46) / (psoas * 1.1)) < 1, MUSCLE)


def _spine(c: Canvas) -> None:
    """Vertebrae with cortex and marrow, discs, canal, arches and processes."""
    phase = np.mod(c.z + 5, 34.0)
    disc = phase < 8
    body = c.ellipse((0, 47), (23, 17))
    spinous = np.hypot(c.x / 4, (phase - 18) / 8)
    c.paint((spinous < 1) & (c.y > 78) & (c.y < 99), 420)
    across = np.hypot((c.y - 67 - 0.15 * np.abs(c.x)) / 4, (phase - 20) / 5)
    c.paint((across < 1) & (np.abs(c.x) < 37), 350)
    c.paint((c.ellipse((0, 72), (18, 15)) < 1) & ~disc, BONE)
    c.paint((c.ellipse((0, 72), (15, 13)) < 1) & disc, 60)
    c.paint(body < 1, BONE)
    c.paint(body < 0.88, 190 + 25 * c.field((8, 8, 8)))
    c.paint((body < 1.04) & disc, 80)
    c.paint(c.ellipse((0, 71), (11, 8.5)) < 1, 25)
    c.paint(c.ellipse((0, 71), (6.5, 5)) < 1, 40)


def _ribs(c: Canvas) -> None:
    """Ribs in the wall, lower towards the front; the lowest ones short."""
    depth = (c.ellipse((0, 1.5), (141.5, 89.5), 2.3)[0] - 1) * 115
    rows, columns = np.nonzero(np.abs(depth) < 4.2)
    depth = depth[rows, columns]
    turn = np.arctan2(np.abs(c.x[0, 0, columns]), c.y[0, rows, 0])  # 0 at the back, pi in front
    hu = c.hu[:, rows, columns]
    for number in range(RIBS):
        middle = -2 + 29 * number - 52 * turn
        level = np.hypot((c.z[:, :, 0] - middle) / 7, depth / 4.2)
        level[:, (turn < 0.25) | (turn > min(1.1 + 0.4 * number, 2.5))] = 2
        hu[level < 1] = 560
        hu[level < 0.6] = 220
    c.hu[:, rows, columns] = hu


def _bowel(c: Canvas) -> None:
    """Colon at the sides and in front, small bowel between."""
    for x, y, radius, top in ((-104, -8, 20, -28), (108, 8, 15, 5)):
        part = c.part(x=(x - 45, x + 45), y=(y - 45, y + 45))
        wander = 6 * part.field((60, 400, 400))
        tube = np.hypot((part.x - x - wander) / radius, (part.y - y - wander) / radius)
        _gut(part, tube + np.maximum(part.z - top, 0) / 20, 8, gas_above=y - radius * 0.35)
    part = c.part(x=(-125, 125), y=(-85, -20), z=(-80, -10))
    sag = np.square(part.x)
    arch = np.hypot((part.z + 38 + 0.0012 * sag) / 17, (part.y + 62 - 0.0016 * sag) / 15)
    _gut(part, arch + np.maximum(np.abs(part.x) - 95, 0) / 20, 5, gas_above=-66)
    for _ in range(36):
        middle = c.rng.uniform((-82, -60, -100), (88, 4, -48))
        radii = c.rng.uniform(10, 19, 3)
        part = c.around(middle, radii * 1.2)
        _gut(part, part.ellipsoid(middle, radii), float(c.rng.uniform(15, 45)))


def _gut(c: Canvas, tube: Level, content: float, gas_above: float | None = None) -> None:
    """A loop: wall, content and, in front of the height `gas_above`, gas."""
    c.paint((tube < 1.12) & (tube > 1), FAT)
    c.paint(tube < 1, SOFT)
    c.paint(tube < 0.82, content)
    if gas_above is not None:
        c.paint((tube < 0.82) & (c.y < gas_above), -880)


def _great_vessels(c: Canvas) -> None:
    """Caval vein, mesenteric artery, and the aorta with a little calcium in its wall."""
    bend = 4 * np.sin(c.z / 70)
    c.paint(np.hypot((c.x + 22 + bend) / 13, (c.y - 17) / 9.5) < 1, 125)
    c.paint((np.hypot(c.x - 4, c.y + 9 + 0.08 * c.z) < 4) & (c.z < 10), 190)
    aorta = np.hypot(c.x - 10 - bend, c.y - 15) / 11.5
    c.paint(aorta < 1, 205, AORTA)
    c.paint((aorta > 0.9) & (aorta < 1) & (c.field((14, 10, 10)) > 2.2), 420, AORTA)


def _room(trunk: Trunk, region: Region, c: Canvas) -> NDArray[np.bool_]:
    """Where an upper organ may lie: off the wall and under the diaphragm."""
    return (trunk.cavity[region] < 0.975) & (c.z < trunk.diaphragm[region] - 4)


def _stomach_and_pancreas(canvas: Canvas, trunk: Trunk) -> None:
    """A stomach with fluid and an air bubble, and a lobed pancreas behind it."""
    c = canvas.part(x=(-35, 100), y=(-68, 22), z=(-14, 100))
    pancreas = c.ellipsoid((28, -4, 4), (55, 10, 14)) + np.abs(0.12 * c.field((12, 9, 9)))
    c.paint(pancreas < 1, 95)
    stomach = c.ellipsoid((52, -24, 48), (40, 38, 50)) + 0.04 * c.field((38, 38, 38))
    room = _room(trunk, c.region, c)
    c.paint((stomach < 1.06) & room, FAT)
    c.paint((stomach < 1) & room, 70)
    inside = (stomach < 0.88) & room
    c.paint(inside, 22)
    c.paint(inside & (c.y < -42), -900)


def _spleen(canvas: Canvas, trunk: Trunk) -> None:
    """An ellipsoid, hollowed where the stomach and the kidney lie."""
    c = canvas.part(x=(55, 140), y=(-20, 85), z=(-8, 97))
    shape = c.field((38, 38, 38))
    spleen = c.ellipsoid((98, 34, 44), (31, 42, 44)) + 0.04 * shape
    hollow = c.ellipsoid((62, 14, 40), (32, 34, 60))
    c.paint((spleen < 1) & (hollow > 1) & _room(trunk, c.region, c), 125 + 4 * shape, SPLEEN)


def _liver(canvas: Canvas, trunk: Trunk) -> None:
    """Two lobes with veins, hollowed by kidney and spine; the gallbladder below."""
    c = canvas.part(x=(-140, 72), y=(-88, 72), z=(-44, 97))
    right = c.ellipsoid((-72, -6, 42), (64, 72, 70), 2.2)
    left = c.ellipsoid((4, -50, 58), (62, 30, 40))
    liver = smooth_union(right, left, 0.12) + 0.05 * c.field((38, 38, 38))
    behind = np.minimum(c.ellipsoid((-68, 42, -22), (31, 29, 58)), c.ellipse((-16, 30), (26, 34)))
    room = _room(trunk, c.region, c) & (behind > 1)
    c.paint((liver < 1.05) & room, FAT)
    there = (liver < 1) & room
    c.paint(there, 110 + 5 * c.field((25, 20, 20)), LIVER)
    c.paint(there & (liver < 0.88) & c.tubes((45, 40, 40), 0.18), 148, LIVER)
    bladder = c.ellipsoid((-46, -46, -6), (15, 20, 26)) + 0.03 * c.field((38, 38, 38))
    c.paint(bladder < 1.1, SOFT)
    c.paint(bladder < 1, WATER, GALLBLADDER)


def _kidneys(canvas: Canvas) -> None:
    """Two tilted beans; the fat of the sinus towards the middle is not part of the organ."""
    for side, height, organ in ((-1, -24, RIGHT_KIDNEY), (1, -12, LEFT_KIDNEY)):
        c = canvas.around((side * 68, 42, height), (44, 36, 58))
        tilt = (c.z - height) * 0.16
        x, y = c.x - side * (68 - tilt), c.y - 42 + tilt * 0.6
        up = c.z - height
        bean = np.sqrt(np.square(x / 27) + np.square(y / 24) + np.square(up / 51))
        bean = bean + 0.03 * c.field((25, 18, 18))
        sinus = np.sqrt(
            np.square((x + side * 19) / 17) + np.square((y + 3) / 9) + np.square(up / 22)
        )
        c.paint((bean < 1.12) & (bean > 1) & (c.truth != AORTA), FAT)
        c.paint(bean < 1, 185, organ)
        c.paint((bean < 0.78) & (c.field((9, 9, 9)) > 0.5), 160, organ)
        c.paint((bean < 1) & (sinus < 1), -70)
        c.paint(sinus < 0.6, SOFT)


def _lungs(canvas: Canvas, trunk: Trunk) -> None:
    """The lungs' bases with their vessels, and the diaphragm under them."""
    c = canvas.part(z=(9, 97))
    cavity, diaphragm = (level[c.region] for level in trunk)
    sides = np.minimum(c.ellipse((-88, 4), (66, 100)), c.ellipse((88, 4), (66, 100)))
    chest = (cavity < 0.99) & (sides < 1) & (c.z > diaphragm - 4)
    c.paint(chest, MUSCLE)
    lung = chest & (c.z > diaphragm)
    c.paint(lung, LUNG + 25 * c.field((12, 8, 8)))
    c.paint(lung & c.tubes((18, 14, 14), 0.22), -50)


def _table(c: Canvas) -> None:
    """The couch, the same on every slice: a thin shell around foam."""
    down = c.y - (129 - 0.0007 * np.square(c.x))
    wide = np.abs(c.x) < 180
    c.paint((down > 0) & (down < 22) & wide, 150)
    c.paint((down > 3) & (down < 19) & wide, -930)


def _scan(c: Canvas) -> NDArray[np.int16]:
    """Give what a scanner would: a slight blur, then noise that is correlated in the slice."""
    image = gaussian(c.hu, sigma=(0.3, 0.6, 0.6), preserve_range=True)
    noise = gaussian(c.rng.standard_normal(SHAPE, dtype=np.float32), sigma=(0, 0.7, 0.7))
    noise *= np.float32(NOISE_HU / noise.std())
    image += noise
    hu: NDArray[np.int16] = np.clip(np.rint(image), -1024, 3071).astype(np.int16)
    return hu
