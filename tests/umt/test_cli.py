"""The `umt` command: light to start, one line for a mistake."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from umt.cli import COMMANDS, cli


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0
    assert shown.output.startswith("Usage:")


def test_help_needs_no_torch() -> None:
    code = (
        "import sys, umt.cli\n"
        "try: umt.cli.cli(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'Usage' and 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_umt_needs_no_mmseg() -> None:
    code = (
        "import sys\n"
        "sys.modules.update({'mmseg': None, 'mmcv': None})\n"  # importing them now fails
        "import umt.backbones, umt.data.contract\n"
        "print(umt.backbones.create_backbone('timm:test_resnet?pretrained=false').dim)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) > 0


def test_mistake_is_one_line_and_status_2() -> None:
    command = [sys.executable, "-m", "umt.cli", "backbones", "check", "no/such/checkpoint.pth"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("umt: no/such/checkpoint.pth: no such")
    assert done.stderr.endswith(" [UMT-MISSING: docs/troubleshooting.md]\n")
    assert done.stderr.count("\n") == 1
