from tests.docs.markdown import blocks, commands, make_targets

PAGE = """# Title

```bash
git clone somewhere
cd somewhere
make serve
```

Then

```python
print("one")

print("two")
```

<!-- not run: needs a GPU -->

```bash
make serve TORCH=cuda
```
"""


def test_blocks_keep_order_language_and_blank_lines() -> None:
    shell, python, gpu = blocks(PAGE)
    assert (shell.language, shell.line, shell.run) == ("bash", 3, True)
    assert (python.language, python.code) == ("python", 'print("one")\n\nprint("two")\n')
    assert not gpu.run


def test_a_comment_reaches_one_block_only() -> None:
    page = "<!-- not run: slow -->\n```bash\nfalse\n```\n```bash\ntrue\n```\n"
    assert [block.run for block in blocks(page)] == [False, True]


def test_a_comment_needs_a_reason() -> None:
    assert blocks("<!-- not run: -->\n```bash\ntrue\n```\n")[0].run


def test_an_open_fence_is_not_lost() -> None:
    assert [block.code for block in blocks("```bash\ntrue")] == ["true\n"]


def test_commands_leave_the_readers_steps_out() -> None:
    script = "git clone x\ncd x\nmake serve ARGS=1\ncurl x | \\\n  head\n"
    assert commands(script) == "curl x | \\\n  head\n"
    assert make_targets(script) == ["serve"]
