// The plan file: what is written is read back to the letter, and what is not a plan is refused with file and field.
#include "core/plan/plan_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/plan/edit.h"
#include "tests/support/folder.h"

namespace pgram {
namespace {

using namespace test;
using nlohmann::json;

std::string read_back(const std::string& text) {
  return plan_to_json(plan_from_json(text, "plan.json"));
}

TEST(PlanFile, RoundTripOfEveryKindAndLayout) {
  for (const Model& model : all_kinds()) {
    for (const char* text : {"tp1", "tp2", "tp4.sp", "pp2", "pp4", "dp2", "tp2.pp2.dp2.sp", "pp4.paired"}) {
      const Plan plan = make_plan(model, layout(text), work(8, 1, 16, Precision::bf16));
      const std::string written = plan_to_json(plan);
      EXPECT_EQ(read_back(written), written) << model.name << " " << text;
      const Plan again = plan_from_json(written, "plan.json");
      EXPECT_EQ(plan_to_text(again, 1 << 20), plan_to_text(plan, 1 << 20)) << model.name << " " << text;
      EXPECT_EQ(verify(again), "") << model.name << " " << text;
      EXPECT_EQ(again.tasks(), plan.tasks());
    }
  }
}

TEST(PlanFile, RoundTripOfASchedule) {
  const std::string written = plan_to_json(make_schedule_plan(one_f_one_b(4, 8)));
  EXPECT_EQ(read_back(written), written);
}

TEST(PlanFile, GroupedBodies) {
  const std::string written = plan_to_json(make_schedule_plan(one_f_one_b(4, 8), PointToPoint::paired));
  EXPECT_EQ(read_back(written), written);
  const Plan plan = plan_from_json(written, "plan.json");
  EXPECT_EQ(verify(plan), "");
  // Rank 0 sends the activation of micro-batch 3 + i for the gradient of i.
  const Body& exchange = *std::find_if(plan.bodies.begin(), plan.bodies.end(), [](const Body& b) { return b.grouped; });
  EXPECT_EQ(exchange.name, "exchange f0>1 b1>0");
  EXPECT_EQ(exchange.ops[0].micro_batch_offset, 0);
  EXPECT_EQ(exchange.ops[1].micro_batch_offset, -3);
  const auto said = [&](const std::string& from, const std::string& to) {
    std::string text = written;
    text.replace(text.find(from), from.size(), to);
    return refusal([&] { plan_from_json(text, "plan.json"); });
  };
  EXPECT_NE(said(",\"grouped\":true", "").find("micro_batch_offset: expected in grouped bodies only"),
            std::string::npos);
  EXPECT_NE(said("\"micro_batch_offset\":-3", "\"micro_batch_offset\":-9").find("leaves 0 to 65535"),
            std::string::npos);
  EXPECT_NE(said("\"micro_batch_offset\":-3", "\"micro_batch_offset\":70000").find("micro_batch_offset"),
            std::string::npos);
  EXPECT_NE(said("\"grouped\":true", "\"grouped\":1").find("grouped"), std::string::npos);
}

TEST(PlanFile, RoundTripKeepsWhatOnlyTheFileHolds) {
  Layout order = layout("tp2.pp2.dp2");
  order.order = {Axis::pp, Axis::tp, Axis::dp};
  Plan plan = make_plan(gpt2(), order, work(8, 1));
  plan.facts["cluster"] = "a \"quoted\" name,\n\tand \xc3\xa9";
  const Plan again = plan_from_json(plan_to_json(plan), "plan.json");
  EXPECT_EQ(again.facts, plan.facts);
  EXPECT_EQ(again.mesh.order, plan.mesh.order);
  EXPECT_EQ(again.attributes, plan.attributes);
  ASSERT_EQ(again.records.size(), plan.records.size());
  for (size_t r = 0; r < plan.records.size(); ++r) {
    EXPECT_EQ(again.records[r].bytes, plan.records[r].bytes);
    for (size_t f = 0; f < plan.records[r].fields.size(); ++f) {
      const Field &a = again.records[r].fields[f], &b = plan.records[r].fields[f];
      EXPECT_EQ(a.offset, b.offset);
      EXPECT_EQ(a.stored_name, b.stored_name);
      EXPECT_EQ(a.stored_part, b.stored_part);
      EXPECT_EQ(a.stored_parts, b.stored_parts);
      EXPECT_EQ(a.stored_transposed, b.stored_transposed);
      EXPECT_EQ(a.partial_axes, b.partial_axes);
      EXPECT_EQ(a.duplicate, b.duplicate);
      EXPECT_EQ(a.full_dim, b.full_dim);
    }
  }
}

TEST(PlanFile, BodiesAndCallsNotTasks) {
  // Twice the micro-batches make twice the calls and not one op line more.
  const auto count = [](const std::string& text, const std::string& word) {
    size_t n = 0;
    for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) ++n;
    return n;
  };
  const std::string four = plan_to_json(make_plan(llama(), layout("tp2"), work(4, 1)));
  const std::string eight = plan_to_json(make_plan(llama(), layout("tp2"), work(8, 1)));
  EXPECT_EQ(count(four, "\"kernel\""), count(eight, "\"kernel\""));
}

TEST(PlanFile, WrittenAndReadOnDisk) {
  const test::Folder folder;
  const std::string path = folder / "plan.json";
  const Plan plan = make_plan(llama(), layout("pp2"), work(4, 1));
  write_plan(plan, path);
  EXPECT_EQ(plan_to_json(read_plan(path)), plan_to_json(plan));
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
  std::filesystem::remove(path);
  EXPECT_NE(refusal([&] { read_plan(path); }).find(path), std::string::npos);
  EXPECT_NE(refusal([&] { write_plan(plan, "/nowhere/at/all/plan.json"); }).find("/nowhere/at/all/plan.json: "),
            std::string::npos);
}

TEST(PlanFile, OtherVersionAndOtherFiles) {
  json plan = json::parse(plan_to_json(make_plan(llama(), layout("tp1"), work(2, 1))));
  plan["version"] = 2;
  EXPECT_EQ(refusal([&] { read_back(plan.dump()); }),
            "plan.json: version: this program reads version 1, the file is version 2; plan again with this program");
  plan["format"] = "parallelogram timeline";
  EXPECT_EQ(
      refusal([&] { read_back(plan.dump()); }),
      "plan.json: format: expected \"parallelogram plan\"; this is not a plan file (pgram plan --out writes one)");
  EXPECT_NE(refusal([] { read_back("{}"); }).find("plan.json: format: "), std::string::npos);
  EXPECT_NE(refusal([] { read_back("[1]"); }).find("plan.json"), std::string::npos);
  EXPECT_NE(refusal([] { read_back(""); }).find("plan.json"), std::string::npos);
}

TEST(PlanFile, TruncatedAnywhere) {
  const std::string text = plan_to_json(make_plan(llama(), layout("tp2"), work(2, 1)));
  for (size_t length = 0; length + 2 < text.size(); length += 97) {
    EXPECT_NE(refusal([&] { read_back(text.substr(0, length)); }).find("plan.json:"), std::string::npos) << length;
  }
}

/// One change of a good file and the part of the message that must come of it.
struct BadFile {
  std::string pointer;  ///< JSON pointer of what is replaced
  json value;
  std::string expected;
};

void PrintTo(const BadFile& bad, std::ostream* out) {
  *out << bad.pointer << " = " << bad.value;
}

class BadIndex : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadIndex, IsRefusedWithItsField) {
  const BadFile& bad = GetParam();
  json plan = json::parse(plan_to_json(make_plan(gpt2(), layout("tp2.pp2"), work(2, 1))));
  const json::json_pointer pointer(bad.pointer);
  plan[pointer] = bad.value;
  const std::string message = refusal([&] { read_back(plan.dump()); });
  EXPECT_EQ(message.rfind("plan.json: ", 0), 0u) << message;
  EXPECT_NE(message.find(bad.expected), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadIndex,
    ::testing::Values(
        BadFile{"/mesh/size", json::array({2, 1}), "mesh.size: expected [tp, dp, pp]"},
        BadFile{"/mesh/size", json::array({2, 0, 2}), "mesh.size[1]"},
        BadFile{"/mesh/size", json::array({1048576, 1048576, 2}), "mesh.size: more than 1,048,576 ranks"},
        BadFile{"/mesh/size", json::array({2, 1, 3}), "programs: expected one per pipeline rank: 3, found 2"},
        BadFile{"/mesh/order", json::array({0, 1, 1}), "mesh.order: expected a permutation of 0, 1, 2"},
        BadFile{"/attributes/0/heads", -1, "attributes[0].heads"},
        BadFile{"/attributes/0/activation", 3, "attributes[0].activation"},
        BadFile{"/attributes/0/scale", "1", "attributes[0].scale"},
        BadFile{"/records/0/kind", "weights", "records[0].kind: unknown value"},
        BadFile{"/records/0/bytes", 8, "records[0].fields[0].offset: the field leaves its record"},
        BadFile{"/records/0/fields/0/offset", 2, "records[0].fields[0].offset: the field leaves its record"},
        BadFile{"/records/0/fields/0/dtype", "f64", "records[0].fields[0].dtype: expected f32, bf16 or i32"},
        BadFile{"/records/0/fields/0/dims", json::array(), "records[0].fields[0].dims"},
        BadFile{"/records/0/fields/0/dims", json::array({0, 4}), "records[0].fields[0].dims[0]"},
        BadFile{"/records/0/fields/0/dims", json::array({1000000000000000000ull, 4}), "records[0].fields[0].dims[0]"},
        BadFile{"/records/0/fields/0/joined", true, "records[0].fields[0].joined"},
        BadFile{"/records/0/fields/0/shard_axes", 8, "records[0].fields[0].shard_axes"},
        BadFile{"/records/0/fields/0/stored_part", 1, "records[0].fields[0].stored_part"},
        BadFile{"/comms/0/axes", 0, "comms[0].axes"}, BadFile{"/comms/0/stream", "fast", "comms[0].stream"},
        BadFile{"/comms/0/source", 2, "comms[0].source"},
        BadFile{"/comms/4/target", 0, "comms[4].target: a channel needs two roles"},
        BadFile{"/comms/3/roles", json::array({1, 0}), "comms[3].roles: expected ascending roles"},
        BadFile{"/comms/3/roles", json::array({0, 2}), "comms[3].roles[1]"},
        BadFile{"/bodies/0/formals/0", 9999, "bodies[0].formals[0]"},
        BadFile{"/bodies/0/ops/0/kernel", "matmull", "bodies[0].ops[0].kernel: unknown value \"matmull\""},
        BadFile{"/bodies/0/ops/0/stream", "none", "bodies[0].ops[0].stream"},
        BadFile{"/bodies/0/ops/0/writes/0/0", 200, "bodies[0].ops[0].writes[0]"},
        BadFile{"/bodies/0/ops/0/writes/0/1", 500, "has no such field"},
        BadFile{"/bodies/0/ops/0/writes/0", json::array({0, 0}), "expected [formal, field, fields]"},
        BadFile{"/bodies/0/ops/0/attributes", 4000, "bodies[0].ops[0].attributes"},
        BadFile{"/bodies/0/ops/0/comm", 0, "bodies[0].ops[0].comm: expected for communication and only there"},
        BadFile{"/bodies/0/ops/1/comm", 99, "bodies[0].ops[1].comm: no such communicator"},
        BadFile{"/bodies/0/ops/1/comm", 4, "bodies[0].ops[1].comm: channels are for send and recv"},
        BadFile{"/bodies/0/ops/1/after/0", 1, "bodies[0].ops[1].after[0]"},
        BadFile{"/bodies/0/ops/0/after", json::array({0}),
                "bodies[0].ops[0].after: the first op has nothing to wait for"},
        BadFile{"/bodies/0/category", "middle", "bodies[0].category"},
        BadFile{"/programs/0/pools/0/0", 9999, "programs[0].pools[0]"},
        BadFile{"/programs/0/pools/0/1", 1e18, "programs[0].pools[0]"},
        BadFile{"/programs/0/events", 99999, "programs[0].events"},
        BadFile{"/programs/0/calls/0/0", 9999, "programs[0].calls[0]"},
        BadFile{"/programs/0/calls/0/2", 70000, "programs[0].calls[0]"},
        BadFile{"/programs/0/calls/0/3/0", 250, "programs[0].calls[0]"},
        BadFile{"/programs/0/calls/0/3/1", 4000000, "programs[0].calls[0]"},
        BadFile{"/programs/0/calls/0/3/2", 4, "programs[0].calls[0]"},
        BadFile{"/programs/0/calls/0/3", json::array({0, 0}), "expected three numbers (pool, slot, flags) per formal"},
        BadFile{"/programs/0/calls/0/4", json::array({0, 0}), "expected three numbers per sync"},
        BadFile{"/programs/0/calls/0/4", json::array({77, 0, 1}), "programs[0].calls[0]"},
        BadFile{"/programs/0/calls/0/4", json::array({0, 30000, 1}), "programs[0].calls[0]"},
        BadFile{"/programs/0/calls/0/4", json::array({0, 0, 1, 0, 0, 0}), "syncs are not in issue order"},
        BadFile{"/programs/0/calls/0", json::array({0, 0}), "expected [body, layer, micro-batch, [args], [syncs]]"},
        BadFile{"/programs/0/slots/0/0", "X", "programs[0].slots[0]: unknown kind"},
        BadFile{"/programs/0/slots/0/3", 99999, "programs[0].slots[0]"},
        BadFile{"/programs/0/slots/0/3", 0, "programs[0].slots: the slots do not cover all calls"},
        BadFile{"/colour", "red", "\"colour\": unknown key"},
        BadFile{"/records/0/colour", "red", "records[0].\"colour\": unknown key"}));

// Files whose numbers are each in range and together absurd.
TEST(HostilePlan, WithoutRecords) {
  json plan = json::parse(plan_to_json(make_schedule_plan(gpipe(1, 1))));
  plan["records"] = plan["bodies"] = plan["programs"][0]["calls"] = plan["programs"][0]["slots"] = json::array();
  EXPECT_EQ(refusal([&] { read_back(plan.dump()); }), "plan.json: programs[0].pools: the plan has no records");
}

TEST(HostilePlan, SizesThatWrap) {
  // 2^31 x 2^31 x 4 B = 2^64 B and 2^50 B x 2^14 slots = 2^64 B: both are 0 in 64 bits.
  const json good = json::parse(plan_to_json(make_schedule_plan(gpipe(1, 1))));
  json plan = good;
  plan["records"][0]["fields"][0]["dims"] = {1u << 31, 1u << 31};
  EXPECT_EQ(refusal([&] { read_back(plan.dump()); }),
            "plan.json: records[0].fields[0].dims: the field is larger than 1 PiB");
  plan = good;
  plan["records"][1]["bytes"] = uint64_t{1} << 50;
  for (json& pool : plan["programs"][0]["pools"]) {
    if (pool[0] == 1) pool[1] = 1 << 14;
  }
  EXPECT_NE(refusal([&] { read_back(plan.dump()); }).find("the pool is larger than 1 PiB"), std::string::npos);
}

TEST(HostilePlan, MoreSlotsThanAreUsed) {
  json plan = json::parse(plan_to_json(make_schedule_plan(gpipe(1, 1))));
  plan["programs"][0]["pools"].back()[1] = 4000000;
  EXPECT_NE(refusal([&] { read_back(plan.dump()); }).find("more slots than the calls have arguments"),
            std::string::npos);
}

TEST(HostilePlan, OperandsMissing) {
  json plan = json::parse(plan_to_json(make_plan(llama(), layout("tp1"), work(2, 1))));
  for (json& body : plan["bodies"]) {
    if (body["name"] == "layer.f") body["ops"][1]["reads"].erase(1);
  }
  EXPECT_NE(
      refusal([&] { read_back(plan.dump()); }).find("ops[1].kernel: matmul writes 1 and reads 1 operands, not 1 and 2"),
      std::string::npos);
}

TEST(HostilePlan, ShapesThatDoNotAgree) {
  const auto refused = [](const std::function<void(json&)>& edit) {
    json plan = json::parse(plan_to_json(make_plan(llama(), layout("tp2"), work(2, 1))));
    edit(plan);
    return refusal([&] { read_back(plan.dump()); });
  };
  const auto op_of = [](json& plan, const std::string& body, const std::string& kernel) -> json& {
    for (json& b : plan["bodies"]) {
      for (json& op : b["ops"]) {
        if (b["name"] == body && op["kernel"] == kernel) return op;
      }
    }
    throw std::runtime_error("no such op");
  };
  // y[n,o] <- x[n,i], W[o,i]: with x and W exchanged the rows of y and of x differ.
  EXPECT_NE(refused([&](json& plan) {
              json& reads = op_of(plan, "layer.f", "matmul")["reads"];
              std::swap(reads[0], reads[1]);
            }).find("where"),
            std::string::npos);
  // A collective that says other bytes than its operand has.
  EXPECT_NE(refused([&](json& plan) { op_of(plan, "head.f", "all_reduce_max")["bytes"] = 4; }).find("its operand has"),
            std::string::npos);
  // Attention over sequences that do not divide the tokens.
  EXPECT_NE(refused([&](json& plan) {
              const size_t attributes = op_of(plan, "layer.f", "attention")["attributes"];
              plan["attributes"][attributes]["sequence"] = 7;
            }).find("do not agree"),
            std::string::npos);
}

}  // namespace
}  // namespace pgram
