// The shapes that come with the program, found by name.
#include <algorithm>
#include <filesystem>

#include "core/base/errors.h"
#include "core/base/json_reader.h"
#include "core/base/library.h"
#include "core/model/model.h"

namespace pgram {

namespace fs = std::filesystem;

/// Names of the library's shapes in alphabetical order; the file of NAME is NAME.json.
static std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == ".json") names.push_back(entry->path().stem().string());
  if (error)
    throw InputError(folder.string(), 0, "", "cannot read this folder of the model library: " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

static Model read_shape(const fs::path& folder, const std::string& name) {
  const std::string path = (folder / (name + ".json")).string();
  Model model = read_huggingface_config(path);
  if (model.name != name)
    throw InputError(path, 0, "_pgram.name",
                     "expected \"" + name + "\" as the file is called, got " + json_quoted(model.name));
  return model;
}

static fs::path shapes_folder() {
  return fs::path(library_directory()) / "shapes";
}

std::vector<Model> library_models() {
  const fs::path folder = shapes_folder();
  std::vector<Model> models;
  for (const std::string& name : names_in(folder)) models.push_back(read_shape(folder, name));
  return models;
}

Model find_model(const std::string& name_or_path) {
  const fs::path folder = shapes_folder();
  const std::vector<std::string> names = names_in(folder);
  if (std::find(names.begin(), names.end(), name_or_path) != names.end()) return read_shape(folder, name_or_path);
  std::error_code error;
  if (fs::is_directory(name_or_path, error))
    return read_huggingface_config((fs::path(name_or_path) / "config.json").string());
  if (!name_or_path.empty() && fs::exists(name_or_path, error)) return read_huggingface_config(name_or_path);
  const std::string near = nearest_name(name_or_path, names);
  throw InputError("model", "no model or file is called " + json_quoted(name_or_path) +
                                (near.empty() ? "" : "; did you mean \"" + near + "\"?") + (near.empty() ? "; " : " ") +
                                "`pgram models` lists the known ones");
}

}  // namespace pgram
