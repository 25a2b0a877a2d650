"""How controls stand in the dock: titled groups of rows, narrow enough for napari's side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from magicgui.widgets.bases import Widget
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFormLayout,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

Row: TypeAlias = tuple[str, Widget | QWidget] | Widget | QWidget
"""A control, or a label and a control."""


def group(title: str, *rows: Row) -> QGroupBox:
    """A titled group with one row under the other."""
    box = QGroupBox(title)
    _fill(box, rows)
    return box


def plain(*rows: Row) -> QWidget:
    """One row under the other."""
    box = QWidget()
    _fill(box, rows)
    return box


def _fill(box: QWidget, rows: Sequence[Row]) -> None:
    form = QFormLayout(box)
    form.setContentsMargins(8, 8, 8, 8)
    form.setVerticalSpacing(6)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for row in rows:
        if isinstance(row, tuple):
            label, control = QLabel(row[0]), qt(row[1])
            label.setToolTip(control.toolTip())
            form.addRow(label, control)
        else:
            form.addRow(qt(row))


def side_by_side(*controls: Widget | QWidget) -> QWidget:
    """Controls in one row, sharing its width."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(6)
    for control in controls:
        layout.addWidget(qt(control), 0 if isinstance(control, QLabel) else 1)
    return row


def column(*controls: Widget | QWidget) -> QWidget:
    """Controls one under the other, each as wide as there is room."""
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for control in controls:
        layout.addWidget(qt(control))
    return box


def qt(control: Any) -> QWidget:
    """The Qt widget of a magicgui control, or the Qt widget itself."""
    return control.native if isinstance(control, Widget) else control


def folded(title: str, name: str, content: QWidget) -> QCollapsible:
    """What is rarely needed, folded away under its title."""
    part = QCollapsible(title)
    part.setObjectName(name)
    part.setDuration(0)
    part.setContent(content)
    part.layout().setContentsMargins(0, 0, 0, 0)
    part.layout().setSpacing(2)
    part.toggleButton().setToolTip(f"Opens and closes: {title}.")
    part.collapse(animate=False)
    return part


def scrolling(content: QWidget) -> QScrollArea:
    """`content`, as wide as there is room, scrolled where there is too little height."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(content)
    return area
