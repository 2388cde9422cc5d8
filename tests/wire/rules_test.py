#!/usr/bin/env python3
"""Bytes on the wire as stock clients need them: the rules that break clients, malformed input, hello, compression, stopping.

Usage: rules_test.py MILLRACE [unittest options]. The names of the tests carry the numbers of clients' rules where one stands behind
them: what each client does when a rule is broken was recorded with mongosh 2.3 and 2.12, Node's driver 6 and 7, PyMongo 3 and Go's 1.10.
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wire_client import (CHECKSUM, EXHAUST_ALLOWED, MORE_TO_COME, OP_MSG, OP_REPLY, Binary, Closed, Connection, Date, Int64, ObjectId, Raw,
                         Server, body, encode, message, op_compressed, op_msg, op_query, sequence)

BINARY = None
PING = {"ping": 1, "$db": "admin"}


def nested(levels):
    data = encode({})
    for _ in range(levels - 1):
        data = encode({"a": Raw(data)})
    return Raw(data)


class WireTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(BINARY)

    @classmethod
    def tearDownClass(cls):
        code, _ = cls.server.stop()
        text = cls.server.log_text()
        cls.server.close()
        if code != 0:
            raise AssertionError(f"the server ended with {code}:\n{text[-4000:]}")

    def setUp(self):
        self.connection = self.server.connect()
        self.addCleanup(self.connection.socket.close)

    def tearDown(self):
        # Whatever the test did, the server lives and answers others.
        with self.server.connect() as other:
            self.assertEqual(other.command(PING)["ok"], 1.0)

    def ask(self, data):
        return self.connection.ask(data).document

    def expect_error(self, data, code, keeps_connection=True):
        reply = self.ask(data)
        self.assertEqual((reply["ok"], reply["code"]), (0.0, code), reply)
        self.assertTrue(reply["errmsg"])
        self.assertTrue(reply["codeName"])
        if keeps_connection:
            self.assertEqual(self.connection.command(PING)["ok"], 1.0)
        else:
            self.assertEqual(self.connection.read_to_end(), b"")
        return reply

    def expect_closed(self, data):
        self.connection.send(data)
        self.assertEqual(self.connection.read_to_end(), b"")


class Rules(WireTest):
    def test_rule_2_ok_is_a_double_and_never_int64(self):
        for command in (PING, {"hello": 1}, {"buildInfo": 1}, {"nonsense": 1}):
            self.assertIs(type(self.connection.command(command)["ok"]), float)

    def test_rule_3_a_request_with_more_to_come_is_never_answered(self):
        uuid = Binary.uuid(b"0123456789abcdef")
        for request in ({"endSessions": [{"id": uuid}], "writeConcern": {"w": 0}, "$db": "admin"}, PING, {"nonsense": 1, "$db": "x"},
                        {"ping": 1}):
            self.connection.send(op_msg(request, flags=MORE_TO_COME, request_id=77))
        self.assertTrue(self.connection.is_silent())
        reply = self.connection.ask(op_msg(PING, request_id=78))
        self.assertEqual(reply.response_to, 78)

    def test_rule_4_and_5_a_reply_is_one_kind_0_section_without_checksum(self):
        reply = self.connection.ask(op_msg(PING, checksum=True))
        self.assertEqual(reply.flags & CHECKSUM, 0)
        self.assertEqual(reply.length, 16 + 4 + 1 + len(reply.document_bytes))

    def test_rule_7_exhaust_hello_streams_replies_with_more_to_come(self):
        hello = self.connection.command({"hello": 1})
        request = {"hello": 1, "maxAwaitTimeMS": 150, "topologyVersion": hello["topologyVersion"], "$db": "admin"}
        started = time.monotonic()
        self.connection.send(op_msg(request, flags=EXHAUST_ALLOWED, request_id=500))
        expected, seen = 500, set()
        for _ in range(4):
            reply = self.connection.reply()
            self.assertEqual(reply.flags, MORE_TO_COME)
            self.assertEqual(reply.response_to, expected)
            self.assertNotIn(reply.request_id, seen)
            self.assertTrue(reply.document["isWritablePrimary"])
            self.assertEqual(reply.document["topologyVersion"], hello["topologyVersion"])
            expected = reply.request_id
            seen.add(reply.request_id)
        self.assertGreater(time.monotonic() - started, 0.55)
        self.assertLess(time.monotonic() - started, 3)

    def test_rule_7_a_stale_topology_version_is_answered_at_once_then_waits(self):
        stale = {"processId": ObjectId(b"\1" * 12), "counter": Int64(0)}
        request = {"hello": 1, "maxAwaitTimeMS": Int64(400), "topologyVersion": stale, "$db": "admin"}
        started = time.monotonic()
        self.connection.send(op_msg(request, flags=EXHAUST_ALLOWED))
        self.assertEqual(self.connection.reply().flags, MORE_TO_COME)
        self.assertLess(time.monotonic() - started, 0.3)
        self.connection.reply()
        self.assertGreater(time.monotonic() - started, 0.39)

    def test_rule_7_a_waiting_hello_without_exhaust_answers_once(self):
        hello = self.connection.command({"hello": 1})
        started = time.monotonic()
        reply = self.connection.ask(op_msg({"hello": 1, "maxAwaitTimeMS": 200, "topologyVersion": hello["topologyVersion"], "$db": "admin"}))
        self.assertGreater(time.monotonic() - started, 0.19)
        self.assertEqual(reply.flags, 0)
        self.assertTrue(self.connection.is_silent(0.4))

    def test_rule_7_exhaust_allowed_elsewhere_is_ignored(self):
        self.assertEqual(self.connection.ask(op_msg(PING, flags=EXHAUST_ALLOWED)).flags, 0)
        self.assertEqual(self.connection.ask(op_msg({"hello": 1, "$db": "admin"}, flags=EXHAUST_ALLOWED)).flags, 0)

    def test_rule_8_kind_1_sections_become_arrays_of_the_body(self):
        # getParameter gives what the body names: the array field counts as named.
        reply = self.connection.command({"getParameter": 1}, sequence("featureCompatibilityVersion", [{}]))
        self.assertEqual(reply["featureCompatibilityVersion"], {"version": "8.0"})

    def test_rule_8_kind_1_may_come_first_and_be_empty(self):
        request = {"getParameter": 1, "$db": "admin"}
        reply = self.ask(op_msg(sequence("featureCompatibilityVersion", []), request))
        self.assertEqual(reply["ok"], 1.0)

    def test_rule_11_what_compass_insists_on(self):
        info = self.connection.command({"hostInfo": 1})
        self.assertTrue(info["system"]["hostname"] and info["system"]["numCores"] >= 1 and info["system"]["memSizeMB"] > 0)
        self.assertEqual(info["os"]["type"], "Linux")
        status = self.connection.command({"connectionStatus": 1, "showPrivileges": True})
        self.assertEqual(status["authInfo"], {"authenticatedUsers": [], "authenticatedUserRoles": [], "authenticatedUserPrivileges": []})
        status = self.connection.command({"connectionStatus": 1})
        self.assertEqual(status["authInfo"], {"authenticatedUsers": [], "authenticatedUserRoles": []})

    def test_rule_13_nothing_that_looks_like_another_product(self):
        info = self.connection.command({"buildInfo": 1})
        self.assertTrue(info["version"].startswith("8.0."))
        self.assertEqual(info["versionArray"][:2], [8, 0])
        self.assertFalse({"ferretdb", "dataLake"} & set(info))
        self.assertEqual(info["modules"], [])
        reply = self.connection.command({"getParameter": "foo"})
        self.assertEqual((reply["code"], reply["errmsg"]), (72, "no option found to get"))

    def test_rule_14_no_startup_warnings_when_there_is_nothing_to_warn_of(self):
        self.assertEqual(self.connection.command({"getLog": "startupWarnings"}), {"totalLinesWritten": 0, "log": [], "ok": 1.0})

    def test_rule_15_and_17_a_client_may_vanish_before_its_reply(self):
        hello = self.connection.command({"hello": 1})
        waiting = {"hello": 1, "maxAwaitTimeMS": 60000, "topologyVersion": hello["topologyVersion"], "$db": "admin"}
        for request in (waiting, {"endSessions": [], "$db": "admin"}, {"listCommands": 1, "$db": "admin"}):
            for _ in range(10):
                other = self.server.connect()
                other.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                other.send(op_msg(request) * 3)
                other.socket.close()
        for _ in range(100):
            current = self.connection.command({"serverStatus": 1})["connections"]["current"]
            if current == 1:
                break
            time.sleep(0.02)
        self.assertEqual(current, 1, "connections of clients that are gone must go")

    def test_rule_17_half_closed_clients_get_the_answers_to_what_they_sent(self):
        self.connection.send(op_msg(PING, request_id=1) + op_msg({"hostInfo": 1, "$db": "admin"}, request_id=2))
        self.connection.socket.shutdown(socket.SHUT_WR)
        self.assertEqual([self.connection.reply().response_to for _ in range(2)], [1, 2])
        self.assertEqual(self.connection.read_to_end(), b"")

    def test_rule_18_tls_on_the_plain_port_is_closed_at_once_and_logged(self):
        for version in (1, 3):
            started = time.monotonic()
            with self.server.connect() as other:
                other.send(bytes([0x16, 3, version, 2, 0, 1, 0, 1, 0xFC, 3, 3]) + b"x" * 400)
                self.assertEqual(other.read_to_end(), b"")
            self.assertLess(time.monotonic() - started, 2)
        self.assertIn("TLS", self.server.log_text())

    def test_rule_18_a_message_of_790_bytes_is_not_taken_for_tls(self):
        request = {**PING, "comment": ""}
        request["comment"] = "x" * (790 - len(op_msg(request)))
        data = op_msg(request)
        self.assertEqual(data[:3], b"\x16\3\0")
        self.assertEqual(self.ask(data)["ok"], 1.0)

    def test_rule_19_a_login_without_a_user_fails_as_a_wrong_password_does(self):
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1"):
            reply = self.connection.command({"saslStart": 1, "mechanism": mechanism, "payload": b"n,,n=u,r=abc"})
            self.assertEqual((reply["code"], reply["codeName"], reply["errmsg"]), (18, "AuthenticationFailed", "Authentication failed."))
        reply = self.connection.command({"saslStart": 1, "mechanism": "X", "payload": b""})
        self.assertEqual((reply["code"], reply["codeName"]), (334, "MechanismUnavailable"))
        reply = self.connection.command({"saslContinue": 1, "conversationId": 1, "payload": b""})
        self.assertEqual((reply["code"], reply["codeName"]), (17, "ProtocolError"))
        self.assertEqual(self.connection.command({"logout": 1}), {"ok": 1.0})

    def test_rule_20_spellings_of_old_clients(self):
        for name in ("hello", "isMaster", "ismaster", "buildInfo", "buildinfo"):
            self.assertEqual(self.connection.command({name: 1})["ok"], 1.0, name)
        for name in ("Hello", "PING", "isMASTER", "atlasVersion", "", "0"):
            reply = self.connection.command({name: 1})
            self.assertEqual((reply["code"], reply["errmsg"]), (59, f"no such command: '{name}'"))


class Hello(WireTest):
    def check_shape(self, reply, legacy):
        expected = {"topologyVersion": dict, "maxBsonObjectSize": int, "maxMessageSizeBytes": int, "maxWriteBatchSize": int, "localTime": Date,
                    "logicalSessionTimeoutMinutes": int, "connectionId": int, "minWireVersion": int, "maxWireVersion": int, "readOnly": bool,
                    "ok": float, ("ismaster" if legacy else "isWritablePrimary"): bool}
        self.assertEqual({k: type(v) for k, v in reply.items()}, expected)
        self.assertEqual({k: type(v) for k, v in reply["topologyVersion"].items()}, {"processId": ObjectId, "counter": Int64})
        self.assertEqual((reply["maxBsonObjectSize"], reply["maxMessageSizeBytes"], reply["maxWriteBatchSize"]), (16777216, 48000000, 100000))
        self.assertEqual((reply["minWireVersion"], reply["maxWireVersion"], reply["logicalSessionTimeoutMinutes"]), (0, 25, 30))
        self.assertLess(abs(reply["localTime"] / 1000 - time.time()), 5)

    def test_shape_over_op_msg(self):
        self.check_shape(self.connection.command({"hello": 1}), legacy=False)
        self.check_shape(self.connection.command({"isMaster": 1}), legacy=True)

    def test_shape_over_op_query(self):
        for name, flags in (("ismaster", 0), ("isMaster", 4)):
            reply = self.connection.ask(op_query("admin.$cmd", {name: 1, "helloOk": True, "client": {"driver": {"name": "x", "version": "1"}}},
                                                 flags=flags, request_id=9))
            self.assertEqual((reply.op_code, reply.response_to, reply.flags, reply.cursor, reply.start, reply.returned), (OP_REPLY, 9, 8, 0, 0, 1))
            self.assertIs(reply.document.pop("helloOk"), True)
            self.check_shape(reply.document, legacy=True)

    def test_unknown_and_odd_fields_are_ignored(self):
        reply = self.connection.command({"hello": 1, "backpressure": "2", "loadBalanced": False, "client": "nonsense", "foo": {"bar": 1},
                                         "$readPreference": {"mode": "primary"}, "lsid": {"id": Binary.uuid(b"x" * 16)},
                                         "saslSupportedMechs": "admin.u",
                                         "speculativeAuthenticate": {"saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": b"n,,n=u,r=x",
                                                                     "db": "admin"}})
        self.check_shape(reply, legacy=False)

    def test_client_metadata_is_logged_once(self):
        client = {"application": {"name": "rules test"}, "driver": {"name": "none", "version": "1.2"}}
        for _ in range(2):
            self.connection.command({"hello": 1, "client": client})
        self.assertEqual(self.server.log_text().count("rules test, driver none 1.2"), 1)

    def test_connection_ids_differ_and_process_id_does_not(self):
        a = self.connection.command({"hello": 1})
        with self.server.connect() as other:
            b = other.command({"hello": 1})
        self.assertNotEqual(a["connectionId"], b["connectionId"])
        self.assertEqual(a["topologyVersion"], b["topologyVersion"])

    def test_half_of_the_waiting_pair_is_an_error(self):
        version = {"processId": ObjectId(b"1" * 12), "counter": Int64(0)}
        self.expect_error(op_msg({"hello": 1, "topologyVersion": version, "$db": "admin"}), 2)
        self.expect_error(op_msg({"hello": 1, "maxAwaitTimeMS": 5, "$db": "admin"}, flags=EXHAUST_ALLOWED), 2)
        self.expect_error(op_msg({"hello": 1, "maxAwaitTimeMS": -5, "topologyVersion": version, "$db": "admin"}), 2)
        self.expect_error(op_msg({"hello": 1, "maxAwaitTimeMS": 5, "topologyVersion": {"processId": 1}, "$db": "admin"}), 14)

    def test_api_version(self):
        self.assertEqual(self.connection.command({"hello": 1, "apiVersion": "1", "apiStrict": True})["ok"], 1.0)
        self.expect_error(op_msg({"hello": 1, "apiVersion": "2", "$db": "admin"}), 322)


class Connections(WireTest):
    def test_bytes_one_by_one(self):
        for byte in op_msg(PING, sequence("x", [{"a": 1}]), request_id=3) + op_query("admin.$cmd", {"ismaster": 1}, request_id=4):
            self.connection.send(bytes([byte]))
        self.assertEqual([self.connection.reply().response_to for _ in range(2)], [3, 4])

    def test_many_messages_in_one_segment_are_answered_in_order(self):
        requests = [op_msg({"hostInfo" if i % 3 else "ping": 1, "$db": "admin"}, request_id=i) for i in range(1, 101)]
        self.connection.send(b"".join(requests))
        replies = [self.connection.reply() for _ in requests]
        self.assertEqual([r.response_to for r in replies], list(range(1, 101)))
        self.assertEqual(len({r.request_id for r in replies}), 100)

    def test_a_waiting_command_does_not_hold_up_other_connections(self):
        hello = self.connection.command({"hello": 1})
        waiting = [self.server.connect() for _ in range(20)]
        for w in waiting:
            w.send(op_msg({"hello": 1, "maxAwaitTimeMS": 1500, "topologyVersion": hello["topologyVersion"], "$db": "admin"}))
        started = time.monotonic()
        for _ in range(20):
            self.assertEqual(self.connection.command({"hostInfo": 1})["ok"], 1.0)
        self.assertLess(time.monotonic() - started, 1)
        for w in waiting:
            self.assertEqual(w.reply().document["ok"], 1.0)
            w.socket.close()

    def test_silent_and_slow_clients_cost_others_nothing(self):
        silent = [self.server.connect() for _ in range(50)]
        for i, s in enumerate(silent):
            s.send(struct.pack("<iiii", 47_000_000, 1, 0, OP_MSG)[: 3 + i % 14])
        self.assertEqual(self.connection.command(PING)["ok"], 1.0)
        for s in silent:
            s.socket.close()

    def test_whatsmyuri_and_get_log(self):
        host, port = self.connection.socket.getsockname()
        self.assertEqual(self.connection.command({"whatsmyuri": 1})["you"], f"{host}:{port}")
        self.assertEqual(self.connection.command({"getLog": "*"})["names"], ["global", "startupWarnings"])
        log = self.connection.command({"getLog": "global"})
        self.assertTrue(log["log"] and all(line.startswith('{"t":{"$date":"') for line in log["log"]))
        self.expect_error(op_msg({"getLog": "x", "$db": "admin"}), 96)

    def test_sessions(self):
        session = self.connection.command({"startSession": 1})
        self.assertEqual((session["id"]["id"].subtype, len(session["id"]["id"]), session["timeoutMinutes"]), (4, 16, 30))
        for name in ("endSessions", "killSessions", "refreshSessions"):
            self.assertEqual(self.connection.command({name: [session["id"]]}), {"ok": 1.0})
            self.expect_error(op_msg({name: 1, "$db": "admin"}), 14)
            self.expect_error(op_msg({name: [{"id": "x"}], "$db": "admin"}), 14)

    def test_transactions_are_refused_as_a_standalone_does(self):
        for request in ({"ping": 1, "txnNumber": Int64(1), "lsid": {"id": Binary.uuid(b"x" * 16)}, "$db": "test"},
                        {"commitTransaction": 1, "$db": "admin"}, {"abortTransaction": 1, "$db": "admin"}):
            reply = self.expect_error(op_msg(request), 20)
            self.assertIn("replica set member or mongos", reply["errmsg"])

    def test_commands_that_belong_to_admin(self):
        reply = self.expect_error(op_msg({"replSetGetStatus": 1, "$db": "test"}), 13)
        self.assertEqual(reply["errmsg"], "replSetGetStatus may only be run against the admin database.")
        self.expect_error(op_msg({"replSetGetStatus": 1, "$db": "admin"}), 76)

    def test_static_answers(self):
        for request, field in (({"usersInfo": 1}, "users"), ({"rolesInfo": 1}, "roles"), ({"currentOp": 1}, "inprog"), ({"top": 1}, "totals"),
                               ({"killOp": 1, "op": 5}, "info"), ({"getCmdLineOpts": 1}, "argv"), ({"connPoolStats": 1}, "hosts"),
                               ({"getDefaultRWConcern": 1}, "defaultReadConcern"), ({"profile": -1}, "was"), ({"serverStatus": 1}, "opcounters"),
                               ({"listCommands": 1}, "commands")):
            reply = self.connection.command(request)
            self.assertEqual(reply["ok"], 1.0, reply)
            self.assertIn(field, reply)

    def test_database_names(self):
        for name in ("", "a.b", "a b", "a/b", "$x", "x" * 64):
            self.expect_error(op_msg({"ping": 1, "$db": name}), 73)
        self.assertEqual(self.ask(op_msg({"ping": 1, "$db": "$external"}))["ok"], 1.0)


class MalformedInput(WireTest):
    def test_impossible_message_lengths_close(self):
        for length in (15, 0, -1, -2**31, 48_000_001, 2**31 - 1):
            with self.server.connect() as other:
                other.send(struct.pack("<iiii", length, 1, 0, OP_MSG))
                self.assertEqual(other.read_to_end(), b"", length)
        self.assertIn("message msgLen 48000001 is invalid. Min: 16 Max: 48000000", self.server.log_text())

    def test_http_is_told_where_it_is(self):
        for request in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"HEAD / HTTP/1.0\r\n\r\n"):
            with self.server.connect() as other:
                other.send(request)
                other.socket.shutdown(socket.SHUT_WR)
                answer = other.read_to_end()
            self.assertTrue(answer.startswith(b"HTTP/1.0 200 OK\r\n"), answer)
            self.assertIn(b"text/plain", answer)
            self.assertIn(b"It looks like you are trying to access MongoDB over HTTP on the native driver port.", answer)

    def test_http_is_closed_even_if_the_client_stays(self):
        self.connection.send(b"GET / HTTP/1.1\r\n\r\n")
        self.assertIn(b"native driver port", self.connection.read_to_end())

    def test_unknown_and_legacy_opcodes_close(self):
        for op_code in (0, 1, 1000, 2001, 2002, 2005, 2006, 2007, 2010, 2011, 2014, -1):
            with self.server.connect() as other:
                other.send(message(op_code, b"\0" * 40))
                self.assertEqual(other.read_to_end(), b"", op_code)

    def test_unknown_section_kind_is_answered_then_closed(self):
        reply = self.expect_error(op_msg(body(PING), b"\x09" + encode({})), 40432, keeps_connection=False)
        self.assertEqual(reply["errmsg"], "Unknown section kind 9")

    def test_no_body(self):
        self.expect_error(op_msg(b""), 40587)
        self.expect_error(op_msg(sequence("documents", [{}])), 40587)

    def test_two_bodies(self):
        self.expect_error(op_msg(PING, PING), 40430)

    def test_duplicate_sequences_and_fields(self):
        self.expect_error(op_msg(PING, sequence("a", [{}]), sequence("a", [])), 40431)
        self.expect_error(op_msg({"ping": 1, "a": [], "$db": "admin"}, sequence("a", [{}])), 40433)

    def test_no_database(self):
        self.expect_error(op_msg({"ping": 1}), 40571)
        self.expect_error(op_msg({"ping": 1, "$db": 1}), 14)

    def test_database_anywhere_behind_the_name(self):
        self.assertEqual(self.ask(op_msg({"ping": 1, "$db": "admin", "comment": "x"}))["ok"], 1.0)
        self.assertEqual(self.ask(op_msg({"ping": 1, "comment": "x", "$db": "admin"}))["ok"], 1.0)

    def test_empty_body(self):
        self.expect_error(op_msg({}), 59)
        self.expect_error(op_msg({"$db": "admin"}), 59)

    def test_sections_that_run_past_the_message_are_answered_then_closed(self):
        for section in (b"\0" + struct.pack("<i", 1000) + b"\1", b"\0" + struct.pack("<i", -5) + b"\0", b"\0" + struct.pack("<i", 4) + b"\0", b"\0\1",
                        body(PING) + b"\1" + struct.pack("<i", 1000) + b"abc\0", body(PING) + b"\1" + struct.pack("<i", 2) + b"abc\0",
                        body(PING) + b"\1" + struct.pack("<i", 7) + b"abc", body(PING) + b"\1\5"):
            with self.server.connect() as other:
                reply = other.ask(op_msg(section)).document
                self.assertEqual((reply["ok"], reply["code"], reply["codeName"]), (0.0, 22, "InvalidBSON"))
                self.assertEqual(other.read_to_end(), b"")

    def test_invalid_bson(self):
        for elements in (b"\x99a\0", b"\x10a\0\1\0", b"\x08a\0\2", b"\x0aa", b"\x0a\xff\0", b"\x02a\0\3\0\0\0abc",
                         b"\x02a\0\xff\xff\xff\x7fab\0", b"\x02a\0\2\0\0\0\xff\0", b"\x03a\0\6\0\0\0\0\0", b"\x03a\0\x64\0\0\0\0",
                         b"\x05a\0\xff\xff\xff\xff\0", b"\0"):
            self.expect_error(op_msg(b"\0" + struct.pack("<i", len(elements) + 5) + elements + b"\0"), 22)
        self.expect_error(op_msg(b"\0" + b"\5\0\0\0\1"), 22)

    def test_depth(self):
        self.assertEqual(self.ask(op_msg({"ping": 1, "comment": nested(199), "$db": "admin"}))["ok"], 1.0)
        self.expect_error(op_msg({"ping": 1, "comment": nested(201), "$db": "admin"}), 15)
        self.expect_error(op_msg({"ping": 1, "comment": nested(3000), "$db": "admin"}), 15)
        self.expect_error(op_msg(PING, sequence("a", [nested(201)])), 15)

    def test_too_large_documents(self):
        large = b"x" * (16 * 1024 * 1024)
        self.assertEqual(self.ask(op_msg({"ping": 1, "comment": large, "$db": "admin"}))["ok"], 1.0)
        reply = self.expect_error(op_msg({"ping": 1, "comment": large + b"x" * 20000, "$db": "admin"}), 10334)
        self.assertEqual(reply["codeName"], "BSONObjectTooLarge")
        self.expect_error(op_msg(PING, sequence("a", [{"a": large + b"x" * 20000}])), 10334)

    def test_the_largest_message(self):
        request = op_msg(PING, sequence("a", [{"a": b"x" * 15_000_000}] * 3))
        rest = 48_000_000 - len(request) - len(encode({"a": b""}))
        request = op_msg(PING, sequence("a", [{"a": b"x" * 15_000_000}] * 3 + [{"a": b"x" * rest}]))
        self.assertEqual(len(request), 48_000_000)
        self.assertEqual(self.ask(request)["ok"], 1.0)

    def test_flags(self):
        for bit in range(2, 16):
            with self.server.connect() as other:
                reply = other.ask(op_msg(PING, flags=1 << bit)).document
                self.assertEqual((reply["ok"], reply["code"], reply["codeName"]), (0.0, 223, "IllegalOpMsgFlag"))
                self.assertEqual(other.read_to_end(), b"")
        for bit in range(17, 32):
            self.assertEqual(self.connection.ask(op_msg(PING, flags=1 << bit)).document["ok"], 1.0)

    def test_broken_requests_that_want_no_answer(self):
        self.connection.send(op_msg({"ping": 1}, flags=MORE_TO_COME) + op_msg(PING, PING, flags=MORE_TO_COME))
        self.assertTrue(self.connection.is_silent())
        self.assertEqual(self.connection.command(PING)["ok"], 1.0)
        self.expect_closed(op_msg(b"\0" + struct.pack("<i", 1000) + b"\1", flags=MORE_TO_COME))

    def test_checksums(self):
        self.assertEqual(self.ask(op_msg(PING, checksum=True))["ok"], 1.0)
        self.expect_closed(op_msg(PING, checksum=1234))

    def test_messages_too_short_for_their_parts(self):
        for op_code in (OP_MSG, 2004, 2012):
            for n in range(0, 12):
                with self.server.connect() as other:
                    other.send(message(op_code, b"\0" * n))
                    other.socket.shutdown(socket.SHUT_WR)
                    answer = other.read_to_end()
                    self.assertTrue(answer == b"" or op_code == OP_MSG and n >= 4, (op_code, n, answer))

    def test_op_query_on_a_collection(self):
        reply = self.connection.ask(op_query("test.c", {}, flags=0x44, n_return=50, request_id=5))
        self.assertEqual((reply.op_code, reply.flags, reply.returned, reply.response_to), (OP_REPLY, 2, 1, 5))
        self.assertEqual((reply.document["code"], reply.document["ok"]), (5739101, 0.0))
        self.assertTrue(reply.document["$err"].startswith("OP_QUERY is no longer supported"))

    def test_op_query_with_other_commands(self):
        for name in ("find", "nonsense"):
            reply = self.connection.ask(op_query("admin.$cmd", {name: 1}))
            self.assertEqual((reply.op_code, reply.document["code"], reply.document["codeName"]), (OP_REPLY, 352, "UnsupportedOpQueryCommand"))
            self.assertEqual(reply.document["errmsg"], f"Unsupported OP_QUERY command: {name}. The client driver may require an upgrade.")
        for name in ("ping", "buildInfo", "buildinfo"):
            self.assertEqual(self.connection.ask(op_query("admin.$cmd", {name: 1})).document["ok"], 1.0)

    def test_op_query_wrapped_in_query(self):
        reply = self.connection.ask(op_query("admin.$cmd", {"$query": {"ismaster": 1}, "$readPreference": {"mode": "secondary"}}))
        self.assertIs(reply.document["ismaster"], True)

    def test_op_query_with_bad_bson(self):
        self.connection.send(message(2004, b"\0" * 4 + b"admin.$cmd\0" + struct.pack("<ii", 0, -1) + b"\x08\0\0\0\x99a\0\0"))
        reply = self.connection.reply()
        self.assertEqual((reply.op_code, reply.document["code"]), (OP_REPLY, 22))


class Compression(WireTest):
    def test_negotiation_keeps_the_clients_order(self):
        for wanted, agreed in ((["zlib", "snappy"], ["zlib", "snappy"]), (["zstd", "x", "snappy"], ["zstd", "snappy"]), (["none"], None), ([], None)):
            reply = self.connection.command({"hello": 1, "compression": wanted})
            self.assertEqual(reply.get("compression"), agreed)
        self.assertNotIn("compression", self.connection.command({"hello": 1}))

    def test_zlib_both_ways(self):
        reply = self.connection.ask(op_compressed(op_msg({"listCommands": 1, "$db": "admin"}, request_id=8)))
        self.assertEqual((reply.compressor, reply.op_code, reply.response_to, reply.flags), (2, OP_MSG, 8, 0))
        self.assertIn("ping", reply.document["commands"])

    def test_no_compression(self):
        self.assertEqual(self.ask(op_compressed(op_msg(PING), compressor=0))["ok"], 1.0)

    def test_snappy_stored_as_literals(self):
        inner = op_msg(PING)
        payload = inner[16:]
        self.assertLessEqual(len(payload), 60)
        data = bytes([len(payload), (len(payload) - 1) << 2]) + payload
        self.assertEqual(self.ask(op_compressed(inner, compressor=1, data=data))["ok"], 1.0)

    def test_zstd_raw_block(self):
        inner = op_msg(PING)
        payload = inner[16:]
        # RFC 8878: magic, single segment with one byte of content size, one last raw block
        data = b"\x28\xb5\x2f\xfd\x20" + bytes([len(payload)]) + struct.pack("<I", len(payload) << 3 | 1)[:3] + payload
        self.assertEqual(self.ask(op_compressed(inner, compressor=3, data=data))["ok"], 1.0)

    def test_compressed_request_without_answer(self):
        self.connection.send(op_compressed(op_msg({"endSessions": [], "$db": "admin"}, flags=MORE_TO_COME)))
        self.assertTrue(self.connection.is_silent())

    def test_compressed_op_query(self):
        self.assertIs(self.ask(op_compressed(op_query("admin.$cmd", {"ismaster": 1})))["ismaster"], True)

    def test_what_cannot_be_unpacked_closes(self):
        inner = op_msg(PING)
        n = len(inner) - 16
        good = zlib.compress(inner[16:])
        cases = {
            "unknown compressor": op_compressed(inner, compressor=9, data=good),
            "size too small": op_compressed(inner, size=n - 1),
            "size too large": op_compressed(inner, size=n + 1),
            "negative size": op_compressed(inner, size=-1),
            "more than 48 MB": op_compressed(inner, size=48_000_001),
            "no compressed bytes": op_compressed(inner, data=b""),
            "cut off": op_compressed(inner, data=good[:-6]),
            "nonsense for snappy": op_compressed(inner, compressor=1, data=b"\xff" * 30),
            "nonsense for zstd": op_compressed(inner, compressor=3, data=b"\xff" * 30),
            "nested": op_compressed(op_compressed(inner)),
            "unknown opcode inside": op_compressed(inner, original=2001),
        }
        for name, data in cases.items():
            with self.server.connect() as other, self.subTest(name):
                other.send(data)
                self.assertEqual(other.read_to_end(), b"")


class Process(unittest.TestCase):
    def run_to_end(self, *arguments):
        done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout, done.stderr

    def start(self, *options):
        server = Server(BINARY, *options)
        self.addCleanup(server.close)
        return server

    def test_one_line_on_stdout_and_a_clean_stop(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start()
            self.assertRegex(server.line, r"^millrace \S+ listening on mongodb://127\.0\.0\.1:\d+ \(data in .*\)\n$")
            idle, busy = server.connect(), server.connect()
            hello = busy.command({"hello": 1})
            busy.send(op_msg({"hello": 1, "maxAwaitTimeMS": 60000, "topologyVersion": hello["topologyVersion"], "$db": "admin"},
                             flags=EXHAUST_ALLOWED))
            code, seconds = server.stop(number)
            self.assertEqual(code, 0, server.log_text())
            self.assertLess(seconds, 5)
            self.assertEqual(server.process.stdout.read(), b"")
            for connection in (idle, busy):
                self.assertEqual(connection.read_to_end(), b"")
                connection.socket.close()

    def test_sighup_keeps_it_running(self):
        server = self.start()
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
        with server.connect() as connection:
            self.assertEqual(connection.command(PING)["ok"], 1.0)

    def test_busy_port(self):
        server = self.start()
        code, out, err = self.run_to_end("--port", str(server.port), "--data-dir", os.path.join(server.directory.name, "other"))
        self.assertEqual((code, out), (1, ""))
        self.assertIn(f"cannot listen on 127.0.0.1:{server.port}: Address already in use", err)

    def test_bad_options(self):
        for arguments, text in ((["--port", "99999"], "--port"), (["--nonsense"], "--nonsense"), (["--log-level", "loud"], "loud"),
                                (["--bind", "256.1.1.1"], "256.1.1.1"), (["--bind", "192.0.2.1", "--allow-remote"], "192.0.2.1"),
                                (["--bind", "0.0.0.0"], "--allow-remote"), (["--config", "/nonexistent"], "/nonexistent")):
            code, out, err = self.run_to_end(*arguments)
            self.assertNotEqual(code, 0, arguments)
            self.assertEqual(out, "")
            self.assertIn(text, err)

    def test_serve_takes_the_options_before_and_behind(self):
        server = self.start("serve", "--bind", "localhost")
        self.assertIn("mongodb://localhost:", server.line)
        with server.connect() as connection:
            self.assertEqual(connection.command(PING)["ok"], 1.0)

    def test_remote_bind_warns(self):
        server = self.start("--bind", "0.0.0.0", "--allow-remote")
        with server.connect() as connection:
            warnings = connection.command({"getLog": "startupWarnings"})
        self.assertEqual(warnings["totalLinesWritten"], 1)
        self.assertIn("Access control is not enabled", warnings["log"][0])

    def test_version_and_help(self):
        code, out, _ = self.run_to_end("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^millrace \d+\.\d+\.\d+\n$")
        code, out, _ = self.run_to_end("--help")
        self.assertEqual(code, 0)
        for option in ("--bind", "--port", "--data-dir", "--connections", "--config", "--log-level", "--no-demo"):
            self.assertIn(option, out)

    def test_config_file_and_serve(self):
        server = self.start()
        path = os.path.join(server.directory.name, "config.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("log-level: error\nno-demo: true\nbind: localhost\n")
        other = Server(BINARY, "--config", path)
        self.addCleanup(other.close)
        self.assertIn("mongodb://localhost:", other.line)
        self.assertEqual(other.stop()[0], 0)
        for text, problem in (("colour: red\n", "colour"), ("- 1\n", "map"), ("port: {\n", "YAML"), ("port: [1, 2]\n", "port")):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            code, _, err = self.run_to_end("--config", path)
            self.assertNotEqual(code, 0, text)
            self.assertIn(problem, err)


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
