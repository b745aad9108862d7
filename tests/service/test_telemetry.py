import json
import logging
import sys

from service.telemetry import GatewayMetrics, JsonFormatter, configure_logging


def make_record(**extra):
    record = logging.LogRecord("bozzetto.x", logging.INFO, "f.py", 1, "said %s", ("é",), None)
    for name, value in extra.items():
        setattr(record, name, value)
    return record


def test_a_line_is_one_json_object():
    text = JsonFormatter().format(
        make_record(request_id="r1", status=202, colour="red", owner=None)
    )
    assert "\n" not in text
    line = json.loads(text)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "bozzetto.x",
        "message": "said é",
        "request_id": "r1",
        "status": 202,
    }


def test_a_traceback_stays_on_the_line():
    record = make_record()
    try:
        raise KeyError("k")
    except KeyError:
        record.exc_info = sys.exc_info()
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert "KeyError" in json.loads(text)["traceback"]


def test_configuring_twice_logs_once(capsys):
    logger = logging.getLogger("bozzetto")
    before = (logger.handlers, logger.propagate, logger.level)
    try:
        configure_logging("info")
        configure_logging("warning")
        logging.getLogger("bozzetto.y").info("not this")
        logging.getLogger("bozzetto.y").warning("this")
    finally:
        logger.handlers, logger.propagate = before[0], before[1]
        logger.setLevel(before[2])
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "this"


def test_gateways_in_one_process_count_apart():
    first, second = GatewayMetrics(), GatewayMetrics()
    first.submits.labels("draft", "accepted").inc()
    sample = b'bozzetto_submits_total{model="draft",outcome="accepted"} 1.0'
    assert sample in first.render(None)
    assert sample not in second.render(None)
