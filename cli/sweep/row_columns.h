// A row of results as columns: what the table, CSV and JSON have in common.
#pragma once
#include <string>

#include "cli/sweep/database.h"
#include "cli/sweep/results.h"

namespace pgram::sweep {

/// "number, model, ..., unfit, error, step_time, ...": what bind_row and read_row take, in their order.
const std::string& row_columns();
int row_column_count();
/// The same as they are declared in the table.
std::string row_declarations();
void bind_row(Statement&, int first_parameter, const Row&);
/// Column `first` is the row's number.
Row read_row(const Statement&, int first);

/// A figure by its name; InputError names `field`, with the nearest one.
const FigureColumn& find_figure(const std::string& name, const std::string& field);

}  // namespace pgram::sweep
