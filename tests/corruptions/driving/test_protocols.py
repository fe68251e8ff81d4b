"""Protocols over loopback: real sockets, bytes split anywhere, malformed messages, peers that don't answer or hang up."""

import base64
import io
import json
import random
import socket
import threading
import time
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from deepwright.corruptions.driving import (
    Camera,
    DonkeyServer,
    DonkeySim,
    InfrastructureError,
    PurePursuit,
    Road,
    RoadSim,
    Scenario,
    UdacityClient,
    UdacitySim,
    evaluate,
    scene_names,
)
from deepwright.corruptions.driving import websockets as ws
from deepwright.corruptions.driving.camera_files import coded_picture, decoded_picture
from deepwright.corruptions.driving.connections import Connection, Listener, with_back_off
from deepwright.corruptions.driving.donkey import DonkeyLink
from deepwright.corruptions.driving.json_stream import JsonStream
from deepwright.corruptions.driving.one_vehicle import Follower
from deepwright.corruptions.driving.served_car import ServedCar
from deepwright.corruptions.driving.socket_io import EventLink

ROAD = Road.from_angles([0, 0, 20, 20, -20, 0])
SMALL = dict(timeout=60.0, wait=0.01)  # seconds that a busy machine may take


def small_sim():
    return RoadSim(1, (24, 32), rgb=True, dt=0.2)


# --- JSON in a stream


def test_objects_come_whole_however_they_are_split():
    sent = [{"a": 1}, {"text": 'brace } and "quote" and \\ and {'}, {"deep": {"x": [1, {"y": 2}]}}, {"ü": "é"}]
    data = "\n".join(json.dumps(m, ensure_ascii=False) for m in sent[:2]).encode()
    data += b"\n" + b"".join(json.dumps(m).encode() for m in sent[2:])
    for seed in range(20):
        stream, found, at, draw = JsonStream(), [], 0, random.Random(seed)
        while at < len(data):
            step = draw.choice((1, 2, 5, 40))
            found += stream.feed(data[at : at + step])
            at += step
        assert found == sent
        assert stream.skipped == 0


def test_what_is_malformed_is_skipped():
    stream = JsonStream(limit=100)
    assert stream.feed(b'noise{"a": nope}\n{"b": "never ends\n{"c": [1]}') == [{"c": [1]}]
    assert stream.skipped == 2
    assert stream.feed(b'{"d": {"e": 1}\n{"f": 2}[1, 2]{"g": 3}') == [{"f": 2}, {"g": 3}]
    assert stream.feed(b'{"long": "' + b"x" * 200) == []
    assert stream.feed(b'"}{"h": 4}') == [{"h": 4}]


# --- connections


def test_back_off_waits_longer_each_time_and_gives_up():
    began, tried = time.monotonic(), []
    with pytest.raises(InfrastructureError, match="3 tries"):
        with_back_off(lambda: tried.append(1) or (_ for _ in ()).throw(OSError("no")), tries=3, wait=0.02)
    assert len(tried) == 3
    assert time.monotonic() - began >= 0.06


def test_a_peer_that_hangs_up_is_told():
    listener = Listener()
    link = DonkeyLink(Connection.to("127.0.0.1", listener.port, timeout=60))
    peer = listener.accept(60)
    peer.send(b'{"msg_type": "ping"}\n{"msg_type": "tele')
    peer.close()
    with pytest.raises(InfrastructureError):
        link.wait_for("telemetry")
    listener.close()
    link.close()


def test_a_peer_that_says_nothing_is_left_in_time():
    listener = Listener()
    link = DonkeyLink(Connection.to("127.0.0.1", listener.port, timeout=0.1))
    peer = listener.accept(60)
    with pytest.raises(InfrastructureError, match=r"no 'telemetry'.* in 0\.1 s"):
        link.wait_for("telemetry")
    for each in (peer, link, listener):
        each.close()


def test_nobody_listens():
    listener = Listener()
    port = listener.port
    listener.close()
    sim = DonkeySim(port=port, timeout=0.2, tries=2, wait=0.01)
    with pytest.raises(InfrastructureError, match="2 tries"):
        sim.reset([None], [0])


# --- Donkey


@pytest.fixture
def donkey():
    with DonkeyServer(0, sim=small_sim(), road=ROAD, patience=60.0) as server:
        yield server


def test_donkey_drives_as_roadsim_does(donkey):
    """The same controls, in RoadSim alone and over TCP, end in the same place; controls arrive as they were sent."""
    sim = DonkeySim(port=donkey.port, size=None, **SMALL)
    picture = sim.reset([ROAD], [0])
    assert picture.shape == (1, 3, 24, 32)
    twin = small_sim()
    twin.reset([ROAD], [0])
    twin.step(torch.zeros(1, 2))  # the control that a reset sends
    for k in range(15):
        action = torch.tensor([[0.02 * k - 0.1, 0.5]])
        picture, seen = sim.step(action)
        shown, expected = twin.step(action)
        assert seen.position[0].tolist() == pytest.approx(expected.position[0].tolist(), abs=1e-5)
        assert float(seen.xte) == pytest.approx(float(expected.xte), abs=1e-5)
        assert float(seen.heading_error) == pytest.approx(float(expected.heading_error), abs=1e-5)
        assert (picture - shown).abs().mean() < 0.05  # JPEG
        steering, throttle = donkey.car.controls[-1]
        assert steering == pytest.approx(-float(action[0, 0]) / sim.max_steering)
        assert throttle == 0.5
    assert {"regen_road", "reset_car", "control"} <= set(donkey.received)
    sim.close()


def test_donkey_road_and_camera_are_taken(donkey):
    road = Road.from_angles([0, 0, -30, -30, 0, 0])
    sim = DonkeySim(port=donkey.port, size=(20, 40), scene="generated_road", **SMALL)
    assert sim.reset([road], [0]).shape == (1, 3, 20, 40)
    assert donkey.car.road == road
    sim.step(torch.zeros(1, 2))
    sim.reset([None], [0])  # the scene's own: the road that is there
    assert float(sim.telemetry().position[0, 1]) < 2.0  # one step from the start
    sim.close()
    assert scene_names(port=donkey.port, timeout=60.0) == ["generated_road"]


def test_a_donkey_client_of_bytes(donkey):
    """Another client, byte by byte, with garbage between its messages."""
    peer = socket.create_connection(("127.0.0.1", donkey.port), timeout=60)
    for byte in b'garbage{"msg_type": "control", "steering": "0.25", "throttle": "0.5", "brake": "0.0"}':
        peer.sendall(bytes([byte]))
    peer.sendall(b'{broken}\n{"msg_type": "control", "steering": "nope", "throttle": "0"}{"msg_type": "control",')
    peer.sendall(b'"steering": "-1,5", "throttle": "1"}')
    stream, kinds, cte = JsonStream(), [], None
    until = time.monotonic() + 60
    while len(donkey.car.controls) < 3 or kinds.count("telemetry") < 3:
        assert time.monotonic() < until
        for message in stream.feed(peer.recv(4096)):
            kinds.append(message["msg_type"])
            cte = message.get("cte", cte)
    peer.close()
    assert kinds[:3] == ["scene_selection_ready", "car_loaded", "need_car_config"]
    assert list(donkey.car.controls) == [(0.25, 0.5), (0.0, 0.0), (-1.5, 1.0)]
    assert isinstance(cte, float)


def test_a_served_car_forgets_old_controls_and_not_its_time():
    sim = RoadSim(1, (8, 16))
    car = ServedCar(sim, ROAD, 0, 0.4)
    car.controls = deque(car.controls, maxlen=3)
    for k in range(5):
        car.act({"steering": 0.0, "throttle": k / 10})
    assert [throttle for _, throttle in car.controls] == [0.2, 0.3, 0.4]
    assert car.telemetry()["time"] == pytest.approx(5 * sim.dt)
    assert ServedCar(sim, ROAD, 0, 0.4).controls.maxlen == 1000


def test_what_no_client_should_say_ends_no_server(donkey):
    """Numbers that no float holds, pictures and roads that no memory holds, a road that is none."""
    link = DonkeyLink(Connection.to("127.0.0.1", donkey.port, timeout=60))
    link._connection.send(b'{"msg_type": "cam_config", "img_h": 1e999, "img_w": 80}')
    link.send("cam_config", img_h="24", img_w="99999")
    link.send("regen_road", wayPoints="0,0,0@1e9,0,1e9@2e9,0,2e9@3e9,0,3e9")
    link.send("regen_road", wayPoints="0,0,0@1e300,0,1@2e300,0,2@3e300,0,3")
    link.send("regen_road", wayPoints=None)
    link.send("x" * 10_000)
    link.send("control", steering=10**400, throttle=1e300)
    assert link.wait_for("telemetry")["pos_z"] == pytest.approx(1.6)
    assert donkey.car.road == ROAD
    assert max(map(len, donkey.received)) <= 40
    link.close()


def test_a_camera_of_another_size_is_otherwise_the_same():
    camera = Camera((24, 32), rgb=True, pitch=20.0, noise=0.0)
    with DonkeyServer(0, sim=RoadSim(1, camera=camera), road=ROAD, patience=60.0) as server:
        sim = DonkeySim(port=server.port, size=(20, 40), **SMALL)
        assert sim.reset([None], [0]).shape == (1, 3, 20, 40)
        assert server.car.sim.camera == replace(camera, size=(20, 40))
        sim.close()


def test_a_peer_that_never_pauses_is_left(monkeypatch):
    listener = Listener()
    connection = Connection.to("127.0.0.1", listener.port, timeout=0.05)
    monkeypatch.setattr(connection, "receive", lambda wait=None: b'{"msg_type": "telemetry"}')
    with pytest.raises(InfrastructureError, match="without a pause"):
        DonkeyLink(connection).newest("telemetry")
    monkeypatch.setattr(connection, "receive", lambda wait=None: ws.frame(b'42["telemetry",{}]'))
    with pytest.raises(InfrastructureError, match="without a pause"):
        EventLink(connection, serves=True, version=3).forget()
    connection.close()
    listener.close()


@pytest.mark.slow
def test_a_campaign_over_tcp_and_without_it(donkey):
    """An expert's steering is the same; a simulator that isn't there is no failure of the driver."""
    sim = DonkeySim(port=donkey.port, size=None, **SMALL)
    steady = lambda pictures: torch.zeros(len(pictures), 2)  # noqa: E731
    outcomes = evaluate(sim, steady, [Scenario(ROAD), Scenario(ROAD, "contrast", 5)], max_xte=1.0, timeout=12.0)
    assert [o.ended for o in outcomes] == ["left the lane"] * 2
    assert torch.equal(outcomes[0].xte, outcomes[1].xte)
    assert outcomes[0].max_xte >= 1.0
    assert (outcomes[0].xte[:-1].abs() < 1.0).all()
    sim.close()


def test_infrastructure_errors_count_for_nothing_and_are_not_kept(tmp_path):
    listener = Listener()
    port = listener.port
    listener.close()
    sim = DonkeySim(port=port, timeout=60.0, tries=1, wait=0.01, size=None)
    steady = lambda pictures: torch.zeros(len(pictures), 2)  # noqa: E731
    scenarios = [Scenario(ROAD)]
    lost = evaluate(sim, steady, scenarios, max_xte=1.0, timeout=3.0, tries=2, checkpoint=tmp_path)
    assert [(o.ended, o.counts, o.failed) for o in lost] == [("infrastructure error", False, False)]
    assert not list(tmp_path.glob("*.pt"))
    with DonkeyServer(port, sim=small_sim(), road=ROAD, patience=60.0):
        again = evaluate(sim, steady, scenarios, max_xte=1.0, timeout=3.0, tries=2, checkpoint=tmp_path)
        assert again[0].counts
        sim.close()
    kept = evaluate(sim, steady, scenarios, max_xte=1.0, timeout=3.0, tries=2, checkpoint=tmp_path)  # nobody listens
    assert kept[0].ended == again[0].ended
    assert torch.equal(kept[0].xte, again[0].xte)


@pytest.mark.slow
def test_an_expert_drives_the_served_car_to_its_end():
    sim = small_sim()
    car = ServedCar(sim, ROAD, 0, DonkeySim.max_steering)
    expert = PurePursuit(sim)
    for _ in range(400):
        steering = float(expert()[0, 0])
        car.act({"steering": str(-steering / DonkeySim.max_steering), "throttle": 0})
        if sim.telemetry().finished:
            break
    assert car.telemetry()["done"]
    assert abs(car.telemetry()["cte"]) < 1.0


# --- WebSocket and Socket.IO


def test_frames_come_whole_however_they_are_split():
    long = bytes(range(256)) * 300
    parts = [b"", b"short", b"x" * 125, b"y" * 126, long]
    for masked in (False, True):
        data = b"".join(ws.frame(p, ws.BINARY, masked=masked) for p in parts)
        reader, found = ws.FrameReader(), []
        for at in range(0, len(data), 97):
            found += reader.feed(data[at : at + 97])
        assert found == [(ws.BINARY, p) for p in parts]


def test_a_message_in_several_frames_with_a_ping_between():
    first, last = bytearray(ws.frame(b"one ")), bytearray(ws.frame(b"two"))
    first[0] &= 0x7F  # more follows
    last[0] &= 0xF0  # goes on
    assert ws.FrameReader().feed(bytes(first) + ws.frame(b"?", ws.PING) + bytes(last)) == [
        (ws.PING, b"?"),
        (ws.TEXT, b"one two"),
    ]
    with pytest.raises(InfrastructureError, match="order"):
        ws.FrameReader().feed(bytes(last))
    with pytest.raises(InfrastructureError, match="bytes"):
        ws.FrameReader(limit=10).feed(ws.frame(b"x" * 100))


def test_openings_are_read_byte_by_byte_and_limited():
    opening, _ = ws.request("here:1", "/socket.io/?EIO=3&transport=websocket")
    reader = ws.HeadReader()
    found = [reader.feed(bytes([byte])) for byte in opening]
    head, rest = found[-1]
    assert (found[:-1], rest) == ([None] * (len(opening) - 1), b"")
    assert head.fields["upgrade"] == "websocket"
    assert b"101 " in ws.response(head)
    with pytest.raises(InfrastructureError, match="WebSocket"):
        ws.response(ws.Head("GET / HTTP/1.1", {}))
    with pytest.raises(InfrastructureError, match="HTTP"):
        ws.HeadReader().feed(b"x" * 20_000)


@pytest.mark.parametrize("version", [3, 4])
def test_udacity_drives_as_roadsim_does(version):
    sim = UdacitySim(0, version=version, **SMALL)
    with UdacityClient(sim.port, sim=small_sim(), road=ROAD, version=version, timeout=60.0) as client:
        road = Road.from_angles([0, 0, -30, -30, 0, 0])
        sim.reset([road], [0])
        assert client.car.road == road
        twin = small_sim()
        twin.reset([road], [0])
        twin.step(torch.zeros(1, 2))
        for k in range(6):
            action = torch.tensor([[0.02 * k - 0.1, 0.5]])
            picture, seen = sim.step(action)
            shown, expected = twin.step(action)
            assert seen.position[0].tolist() == pytest.approx(expected.position[0].tolist(), abs=1e-5)
            assert float(seen.xte) == pytest.approx(float(expected.xte), abs=1e-5)
            assert (picture - shown).abs().mean() < 0.05
        assert client.car.controls[-1] == (pytest.approx(0.0), 0.5)
        assert sim._link.version == version
        sim.close()


def test_an_old_client_that_says_4_and_speaks_3():
    """Unity's: it opens with EIO=4, never asks for a namespace, pings, and sends what can't be read, too."""
    listener = Listener()
    found = {}

    def old_client():
        connection = Connection.to("127.0.0.1", listener.port, timeout=60)
        opening, _ = ws.request("here", "/socket.io/?EIO=4&transport=websocket")
        for byte in opening:
            connection.send(bytes([byte]))
        reader, packets = ws.HeadReader(), []
        while (head := reader.feed(connection.receive())) is None:
            pass
        frames = ws.FrameReader()
        packets += frames.feed(head[1])
        connection.send(ws.frame(b"2", masked=True) + ws.frame(b"42[broken", masked=True))
        connection.send(ws.frame(b"!", ws.PING, masked=True))
        data = ws.frame(b'42["telemetry",{"cte":"0,5"}]', masked=True)
        for byte in data:
            connection.send(bytes([byte]))
        while not any(p[1].startswith(b"42") for p in packets):
            packets += frames.feed(connection.receive())
        found["packets"] = packets
        connection.close()

    thread = threading.Thread(target=old_client, daemon=True)
    thread.start()
    link = EventLink.accepted(listener.accept(60, timeout=60))
    assert link.version == 3
    assert link.wait_for("telemetry") == ("telemetry", {"cte": "0,5"})
    assert link.skipped == 1
    link.emit("steer", {"steering_angle": "0.5"})
    thread.join(60)
    said = [payload for _, payload in found["packets"]]
    assert said[0].startswith(b'0{"sid"')
    assert {b"3", b"40", b"!"} <= set(said)
    assert b'42["steer", {"steering_angle": "0.5"}]' in said
    link.close()
    listener.close()


def test_an_opening_with_an_address_that_is_none():
    listener = Listener()
    peer = Connection.to("127.0.0.1", listener.port, timeout=60)
    opening, _ = ws.request("here", "//[?EIO=3")
    peer.send(opening)
    link = EventLink.accepted(listener.accept(60, timeout=60))
    assert link.version == 3
    for each in (peer, link, listener):
        each.close()


def test_a_broken_picture_is_told_as_such():
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)).save(stream, "PNG")
    data = bytearray(stream.getvalue())
    at = data.index(b"IDAT")
    data[at - 4 : at] = (100).to_bytes(4, "big")  # what follows is no chunk
    for code in (base64.b64encode(data).decode(), "no base64", None, "é"):
        with pytest.raises(InfrastructureError, match="picture"):
            decoded_picture(code)


def test_telemetry_by_which_no_driver_could_fail_is_none():
    image = coded_picture(torch.rand(3, 8, 8))
    everywhere = {"image": image, "cte": 0.5, "pos_x": 0.0, "pos_z": 1.0}
    assert float(Follower(None).seen({"image": image, "cte": "0,5"})[1].xte) == 0.5
    assert float(Follower(ROAD).seen(everywhere | {"cte": None})[1].xte) == pytest.approx(0.0)
    with pytest.raises(InfrastructureError, match="cross-track"):
        Follower(None).seen(everywhere | {"cte": None})
    with pytest.raises(InfrastructureError, match="pos_x"):
        Follower(ROAD).seen(everywhere | {"pos_x": "NaN"})
    with pytest.raises(InfrastructureError, match="no object"):
        Follower(None).seen([everywhere])


def test_no_simulator_connects():
    sim = UdacitySim(0, timeout=0.05, tries=2, wait=0.01)
    with pytest.raises(InfrastructureError, match="nobody connected"):
        sim.reset([None], [0])
    sim.close()
