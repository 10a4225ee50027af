// Files for other engines: quoting, defaults, what is refused.
#include "cli/sweep/emit.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include "cli/sweep/emit_text.h"
#include "core/base/errors.h"
#include "tests/sweep_engines/support/process.h"

namespace pgram::sweep {
namespace {

Sweep some_sweep() {
  Sweep sweep;
  sweep.path = "dir/it's \"one\" of $HOME.yaml";
  sweep.name = "Big_sweep.1";
  sweep.text = "pgram_sweep: 1\nname: Big_sweep.1\n";
  return sweep;
}

Emission emission(const std::string& engine) {
  return {
      .engine = engine, .out = "out/$(x) 'y' \"z\".db", .cases = 1000, .shards = 3, .image = "", .version = "1.2.3"};
}

std::string refused(const Sweep& sweep, const Emission& emission) {
  try {
    emit(sweep, emission);
  } catch (const InputError& error) {
    return error.what();
  }
  return "taken";
}

/// 1,000,000 core seconds on 4 cores in 300 s each: 833.3.
TEST(Emit, ShardsTakeSomeMinutes) {
  EXPECT_EQ(default_shards(100'000, 1'000'000), 834u);
  EXPECT_EQ(default_shards(100'000, 1200), 1u);
  EXPECT_EQ(default_shards(100'000, 1201), 2u);
  EXPECT_EQ(default_shards(100'000, 0), 16u) << "nothing is known";
  EXPECT_EQ(default_shards(5, 1'000'000), 5u) << "no more than cases";
  EXPECT_EQ(default_shards(0, 0), 1u);
  EXPECT_EQ(default_shards(10'000'000, 1e12), kMostShards);
}

TEST(Emit, WhatCannotBe) {
  EXPECT_EQ(refused(some_sweep(), emission("pbs")), "--emit: expected slurm, k8s or ray, got 'pbs'");
  Emission image = emission("slurm");
  image.image = "a/b:c";
  EXPECT_EQ(refused(some_sweep(), image), "--image: is for --emit k8s, whose pods are containers");
  Emission many = emission("slurm");
  many.shards = 10'001;
  EXPECT_EQ(refused(some_sweep(), many), "--shards: expected at most 10000");
  Emission bytes = emission("ray");
  bytes.out = "\xff.db";
  EXPECT_NE(refused(some_sweep(), bytes).find("--out: '"), std::string::npos);
  EXPECT_NE(refused(some_sweep(), bytes).find("is not UTF-8"), std::string::npos);
  EXPECT_EQ(refused(some_sweep(), {.engine = "slurm", .out = "\xff.db", .image = "", .version = ""}), "taken")
      << "bash takes every byte";
  Sweep huge = some_sweep();
  huge.text.resize(1'000'001, '\n');
  EXPECT_NE(refused(huge, emission("k8s")).find("is too long for a ConfigMap"), std::string::npos);
}

TEST(Emit, OneShardIsOneShard) {
  Emission one = emission("slurm");
  one.shards = 1;
  const std::string script = emit(some_sweep(), one);
  EXPECT_NE(script.find("1000 cases, as a Slurm array of 1 shard.\n"), std::string::npos) << script;
  EXPECT_NE(script.find("\n#SBATCH --array=0-0\n"), std::string::npos);
}

/// Flags of one way of running that are given to another.
TEST(EmitCommand, FlagsThatDoNotBelongTogether) {
  const engines::Folder folder;
  const auto refused_by = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {PGRAM_PROGRAM, "sweep", "any.yaml"});
    const engines::Finished finished = engines::run(folder, flags);
    EXPECT_EQ(finished.code, 2);
    return finished.err;
  };
  EXPECT_EQ(refused_by({"--shards", "4"}),
            "pgram: --shards: is for --emit; to run one of several parts say --shard I/N\n");
  EXPECT_EQ(refused_by({"--image", "x"}), "pgram: --image: is for --emit k8s\n");
  EXPECT_EQ(refused_by({"--emit", "ray", "--shard", "0/4"}),
            "pgram: --shard: is what each job runs; say --shards N to --emit\n");
}

TEST(Emit, ResultsAreNamedLikeTheSweep) {
  Emission unnamed = emission("slurm");
  unnamed.out.clear();
  EXPECT_NE(emit(some_sweep(), unnamed).find("\nout='big-sweep-1.db'\n"), std::string::npos);
}

TEST(EmitText, Names) {
  EXPECT_EQ(plain_name("Llama 3.1 / 70B!", 63), "llama-3-1-70b");
  EXPECT_EQ(plain_name("--a--", 63), "a");
  EXPECT_EQ(plain_name("\xc3\xa9", 63), "sweep");
  EXPECT_EQ(plain_name("", 63), "sweep");
  EXPECT_EQ(plain_name("abc-def", 4), "abc");
}

TEST(EmitText, FilledInOnce) {
  EXPECT_EQ(filled_in("@A@ @B@ a@b @A @@A@", {{"A", "@B@"}, {"B", "2"}}), "@B@ 2 a@b @A @@B@");
}

TEST(EmitText, CommentsStayOneLine) {
  EXPECT_EQ(comment_text("a\nrm -rf x\r"), "a\\nrm -rf x\\r");
}

const char* const kHard[] = {"",
                             "plain",
                             "it's",
                             "\"quoted\"",
                             "$HOME $(date) `date`",
                             "a\\b",
                             "a b",
                             "-x",
                             "a\nb",
                             "\t\r\x01",
                             "\x7f",
                             "#c: [d]",
                             "é €",
                             "\u2028\u0085\ufeff",
                             "😀",
                             "%s {x} {{y}} @A@"};

/// bash, YAML and Python each read back what was meant.
TEST(EmitText, EveryLanguageReadsItBack) {
  const engines::Folder folder;
  for (const std::string text : kHard) {
    const std::string literal = string_literal(text, "x");
    EXPECT_EQ(YAML::Load("- " + literal)[0].as<std::string>(), text);
    EXPECT_EQ(engines::run(folder, {"bash", "-c", "printf %s " + shell_quoted(text)}).out, text);
  }
  if (!engines::is_installed("python3")) GTEST_SKIP() << "python3 is not installed: its strings are not tried";
  std::string program = "# -*- coding: utf-8 -*-\nimport sys\n", expected;
  for (const std::string text : kHard) {
    program += "sys.stdout.buffer.write(" + string_literal(text, "x") + ".encode() + b'\\0')\n";
    expected += text + '\0';
  }
  const engines::Finished finished = engines::run(folder, {"python3", folder.write("p.py", program)});
  EXPECT_EQ(finished.out, expected) << finished.err;
}

/// `import ray` would find the program itself.
TEST(EmitRay, IsNotToBeCalledRay) {
  if (!engines::is_installed("python3")) GTEST_SKIP() << "python3 is not installed: the program is not tried";
  const engines::Folder folder;
  const std::string program = folder.write("ray.py", emit(some_sweep(), emission("ray")));
  const engines::Finished finished = engines::run(folder, {"python3", program});
  EXPECT_EQ(finished.code, 1);
  EXPECT_EQ(finished.err, "ray.py: give this file another name; Python would take it for Ray itself\n");
}

/// The script run as each of its three parts, with a program that only says what it is asked.
TEST(EmitSlurm, CallsWhatItShould) {
  const engines::Folder folder;
  const std::string script = folder.write("job.sh", emit(some_sweep(), emission("slurm")));
  folder.write("say", "printf '<%s>' \"$@\"\n");
  const std::string say = "PGRAM=" + folder.write("program", "#!/bin/bash\nprintf '<%s>' \"$@\"\n");
  ASSERT_EQ(engines::run(folder, {"chmod", "+x", "program"}).code, 0);
  const std::string out = "out/$(x) 'y' \"z\".db";
  EXPECT_EQ(engines::run(folder, {"bash", script}, {say, "SLURM_ARRAY_TASK_ID=2", "SLURM_CPUS_PER_TASK=7"}).out,
            "<sweep><dir/it's \"one\" of $HOME.yaml><--shard><2/3><--threads><7><--out><" + out + ".shard2>");
  EXPECT_EQ(engines::run(folder, {"bash", script, "merge"}, {say, "SLURM_ARRAY_TASK_ID=0"}).out,
            "<sweep><merge><" + out + "><" + out + ".shard0><" + out + ".shard1><" + out + ".shard2>");
}

}  // namespace
}  // namespace pgram::sweep
