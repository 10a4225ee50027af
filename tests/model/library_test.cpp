#include "core/base/library.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "core/model/model.h"
#include "tests/model/refusal.h"
#include "tests/support/folder.h"
#include "tests/support/text.h"

namespace pgram {
namespace {

/// Sets an environment variable for one test.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Environment() { unsetenv(name_); }

 private:
  const char* name_;
};

TEST(Library, HoldsThePromisedShapesInOrder) {
  std::vector<std::string> names;
  for (const Model& model : library_models()) {
    names.push_back(model.name);
    EXPECT_GT(model.source.size(), 20u) << model.name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"demo-llama", "gpt-3-175b", "gpt2", "llama-2-13b", "llama-2-70b",
                                             "llama-2-7b", "llama-3.1-405b", "llama-3.1-70b", "llama-3.1-8b",
                                             "mistral-7b", "qwen2.5-72b", "qwen2.5-7b", "tiny-gpt2", "tiny-llama"}));
}

TEST(Library, TinyShapesSplitFourWays) {
  for (const char* name : {"tiny-llama", "tiny-gpt2"}) {
    const Model model = find_model(name);
    for (const uint32_t size : {model.layers, model.hidden, model.heads, model.kv_heads, model.ffn, model.vocabulary})
      EXPECT_EQ(size % 4, 0u) << name;
  }
}

TEST(FindModel, TakesNamesFilesAndFolders) {
  const test::Folder folder;
  const std::string text = R"({"model_type": "gpt2", "n_layer": 2, "n_embd": 8, "n_head": 2, "vocab_size": 9,
                               "n_positions": 16})";
  const std::string config = folder.write("my-model/config.json", text), other = folder.write("other.json", text);
  EXPECT_EQ(find_model("gpt2").layers, 12u);
  EXPECT_EQ(find_model(config).name, "my-model");
  EXPECT_EQ(find_model(folder / "my-model").name, "my-model");
  EXPECT_EQ(find_model(folder / "my-model/").vocabulary, 9u);
  EXPECT_EQ(find_model(other).name, "other");
}

TEST(FindModel, UnknownNamesGetTheNearest) {
  EXPECT_EQ(refusal([] { find_model("llama-3.1-8B"); }),
            "model: no model or file is called \"llama-3.1-8B\"; did you mean \"llama-3.1-8b\"? `pgram models` lists "
            "the known ones");
  EXPECT_EQ(refusal([] { find_model("a-name-like-no-other"); }),
            "model: no model or file is called \"a-name-like-no-other\"; `pgram models` lists the known ones");
  EXPECT_TRUE(refusal([] { find_model(""); }).starts_with("model: no model or file is called \"\""));
  const test::Folder folder;
  EXPECT_EQ(refusal([&] { find_model(folder.path()); }),
            folder / "config.json: cannot open this file; check that it exists and may be read");
}

TEST(Library, EnvironmentChoosesIt) {
  const test::Folder folder;
  folder.write("shapes/mine.json", R"({"_pgram": {"name": "mine", "source": "a test"}, "model_type": "gpt2",
                                       "n_layer": 2, "n_embd": 8, "n_head": 2, "vocab_size": 9, "n_positions": 16})");
  const Environment library("PGRAM_LIBRARY", folder.path());
  EXPECT_EQ(library_directory(), folder.path());
  ASSERT_EQ(library_models().size(), 1u);
  EXPECT_EQ(library_models()[0].source, "a test");
  folder.write("shapes/wrong.json", R"({"_pgram": {"name": "mine", "source": "a test"}, "model_type": "gpt2",
                                       "n_layer": 2, "n_embd": 8, "n_head": 2, "vocab_size": 9, "n_positions": 16})");
  EXPECT_EQ(refusal([] { library_models(); }),
            folder / "shapes/wrong.json: _pgram.name: expected \"wrong\" as the file is called, got \"mine\"");
}

TEST(Library, WrongEnvironmentIsRefusedAndNotPassedOver) {
  const Environment library("PGRAM_LIBRARY", "/nowhere/at/all");
  EXPECT_EQ(refusal([] { find_model("gpt2"); }),
            "PGRAM_LIBRARY: expected the folder of the model library, \"/nowhere/at/all\" is not a folder; correct or "
            "unset it");
}

TEST(Library, ShapesAreHuggingFaceFilesThatRoundTripByPath) {
  for (const Model& model : library_models())
    EXPECT_EQ(parse_huggingface_config(test::file_text(library_directory() + "/shapes/" + model.name + ".json"),
                                       "config.json"),
              model)
        << model.name;
}

TEST(NearestName, IsByEditDistanceAndNotTooFar) {
  EXPECT_EQ(nearest_name("llama3-8b", {"gpt2", "llama-3.1-8b", "llama-3.1-70b"}), "llama-3.1-8b");
  EXPECT_EQ(nearest_name("GPT-2", {"gpt2", "llama-3.1-8b"}), "gpt2");
  EXPECT_EQ(nearest_name("resnet50", {"gpt2", "llama-3.1-8b"}), "");
  EXPECT_EQ(nearest_name("x", {}), "");
  EXPECT_EQ(nearest_name(std::string(100000, 'x'), {"gpt2"}), "");
}

}  // namespace
}  // namespace pgram
